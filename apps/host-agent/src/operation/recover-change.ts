import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { differenceOf, readVmDocument, type VmDocument } from '../datastore/vm-document.ts'
import { type Change, planOf } from './changes.ts'
import { checkMade } from './check-made.ts'
import { finish, undo, undoCreation } from './clean.ts'
import { isCreatedBy } from './create-site.ts'
import type { OperationHost, Task } from './host.ts'
import { type JournalFile, journalName, readJournal } from './journal.ts'
import { authenticJournal } from './journal-keys.ts'
import { KeyLoans } from './key-loans.ts'
import { type Plan, type Sizes, withSizes } from './plan.ts'
import { openVmSite, type VmSite } from './vm-site.ts'

/** What became of an operation that nobody finished; `unknown`: it had not begun, and there is no trace of it. */
export type Recovery =
  | { readonly state: 'done'; readonly vm: VmAuthority | null }
  | { readonly state: 'failed' }
  | { readonly state: 'unknown' }

/**
 * Brings a change to its end after a crash, with the request that the control plane confirms: one that was committed is
 * finished, any other undone. Nothing that lies on the datastore is taken at its word: what is removed follows from the
 * request, and a commit counts only with an authentic journal and files that open. Throws AgentError: `key-not-held` when
 * that cannot be told without keys, `datastore-mismatch` when it is neither the old nor the new state, `vm-busy`.
 */
export async function recoverChange(
  host: OperationHost,
  task: Task,
  operationId: string,
  change: Change,
): Promise<Recovery> {
  const plan = planOf(operationId, change)
  await using site = await openVmSite(host.datastores, plan.vm)
  if (site === null) return nothingThere(plan, change)
  const document = await readVmDocument(site.folder)
  const journal = await readJournal(site.folder)
  if (document !== null && document.generation === plan.next.generation) {
    return { state: 'done', vm: await finishCommitted(host, task, site, plan, document, journal) }
  }
  if (journal !== null && journal.content.operationId !== operationId && journal.content.state !== 'cleaned') {
    throw new AgentError('vm-busy', `operation ${journal.content.operationId} on this VM comes first; recover that one`)
  }
  return change.kind === 'create-vm'
    ? await undoCreated(task, site, plan, document)
    : await undoChanged(task, site, plan, document)
}

function nothingThere(plan: Plan, change: Change): Recovery {
  if (change.kind === 'create-vm') return { state: 'unknown' }
  throw new AgentError('file-missing', `${plan.vm.datastorePath}/${plan.vm.folder}: the VM’s folder is missing`)
}

async function finishCommitted(
  host: OperationHost,
  task: Task,
  { folder }: VmSite,
  plan: Plan,
  document: VmDocument,
  file: JournalFile | null,
): Promise<VmAuthority> {
  const next = withSizes(plan, sizesIn(document))
  const difference = differenceOf(document, next)
  if (difference !== null) throw new AgentError('datastore-mismatch', `${folder.path}/vm.json: ${difference}`)
  using stack = new DisposableStack()
  const keys = stack.use(new KeyLoans(host.keys, plan.keys, host.cryptoSupported))
  const journal =
    plan.direction === null ? null : stack.use(await authenticJournal(folder, plan, next, document, file, keys))
  await checkMade(folder, plan, next, document, keys)
  await task.insist('removing what was replaced', () => finish(folder, plan, document, journal))
  return next
}

async function undoChanged(task: Task, { folder }: VmSite, plan: Plan, document: VmDocument | null): Promise<Recovery> {
  const difference = document === null ? 'is missing' : differenceOf(document, plan.vm)
  if (document === null || difference !== null) {
    throw new AgentError('datastore-mismatch', `${folder.path}/vm.json: ${difference}`)
  }
  const traces = await tracesOf(folder, plan)
  await task.insist('undoing', () => undo(folder, plan, document))
  return { state: traces ? 'failed' : 'unknown' }
}

async function undoCreated(
  task: Task,
  { datastore, folder }: VmSite,
  plan: Plan,
  document: VmDocument | null,
): Promise<Recovery> {
  if (document !== null || !(await isCreatedBy(folder, plan.operationId))) {
    throw new AgentError('datastore-mismatch', `${folder.path}: was not made by operation ${plan.operationId}`)
  }
  await task.insist('undoing', () => undoCreation(datastore, folder, plan))
  return { state: 'failed' }
}

/** Whether an operation has left anything in the VM's folder. */
async function tracesOf(folder: Folder, plan: Plan): Promise<boolean> {
  for (const name of [...plan.makes, journalName]) if (await folder.has(name)) return true
  return false
}

function sizesIn({ disks }: VmDocument): Map<string, Sizes> {
  return new Map(disks.map(({ layerId, payloadBytes, virtualBytes }) => [layerId, { payloadBytes, virtualBytes }]))
}
