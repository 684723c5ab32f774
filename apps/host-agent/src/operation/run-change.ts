import { isDeepStrictEqual } from 'node:util'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { documentOf, readVmDocument, type VmDocument, writeVmDocument } from '../datastore/vm-document.ts'
import { homeFolderName, requireHome } from '../home/configuration.ts'
import { type Change, isBulk, make, planOf } from './changes.ts'
import { checkMade } from './check-made.ts'
import { finish, undo, undoCreation } from './clean.ts'
import { createVmSite } from './create-site.ts'
import type { OperationHost, Task } from './host.ts'
import { journalName, readJournal } from './journal.ts'
import { KeyLoans } from './key-loans.ts'
import { readableError } from './operation-error.ts'
import { homeGenerationAfter, type Plan } from './plan.ts'
import { agreedDocument, requireVmSite, type VmSite } from './vm-site.ts'
import type { Made } from './work.ts'

/**
 * Runs a change from its first file to its end, whole or not at all: what fails or is cancelled before the commit is undone
 * before this rejects, and after the commit it does not reject. The one commit is the rename of `vm.json`.
 */
export async function runChange(
  host: OperationHost,
  task: Task,
  operationId: string,
  change: Change,
): Promise<VmAuthority> {
  const plan = planOf(operationId, change)
  using stack = new DisposableStack()
  const keys = stack.use(new KeyLoans(host.keys, plan.keys, host.cryptoSupported))
  const creates = change.kind === 'create-vm'
  await using site = creates
    ? await createVmSite(host.datastores, plan.vm, operationId)
    : await requireVmSite(host.datastores, plan.vm)
  const previous = creates ? null : await agreedDocument(site.folder, plan.vm)
  if (!creates) await refuseUnfinished(site.folder)
  let made: Made
  let document: VmDocument
  try {
    const content = change.kind === 'import-disk' ? await task.content() : null
    // Ends with this block: what has to be done after it, perhaps for long, moves no data.
    using _turn = isBulk(change) ? await turn(host, task) : null
    await using home = await (creates ? site.folder.makeFolder(homeFolderName) : requireHome(site.folder))
    const { folder } = site
    const { scratch, warn } = host
    const { progress, signal } = task
    made = await make({ plan, folder, home, previous, progress, signal, scratch, stack, keys, warn }, change, content)
    document = documentOf(made.next, homeGenerationAfter(plan, previous?.home.generation ?? null))
    await checkMade(folder, plan, made.next, document, keys)
    signal.throwIfAborted()
  } catch (error) {
    await task.insist('undoing', () => undoChange(site, plan, previous))
    throw readableError(error, site.folder)
  }
  await commit(site, plan, previous, document, task)
  await task.insist('removing what was replaced', () => finish(site.folder, plan, document, made.journal))
  task.progress.begin('done')
  return made.next
}

/** Puts the new `vm.json` into place. Where that fails, what lies on the disk decides whether it happened. */
async function commit(
  site: VmSite,
  plan: Plan,
  previous: VmDocument | null,
  document: VmDocument,
  task: Task,
): Promise<void> {
  task.progress.begin('committing')
  try {
    await writeVmDocument(site.folder, document)
  } catch (error) {
    const found = await task.insist('looking whether the commit happened', () => anyDocument(site.folder))
    if (isDeepStrictEqual(found, document)) return
    await task.insist('undoing', () => undoChange(site, plan, previous))
    throw error
  }
}

/** `vm.json`; `null` also where it is none of ours, and so not the one that was to be put there. */
async function anyDocument(folder: Folder): Promise<VmDocument | null> {
  try {
    return await readVmDocument(folder)
  } catch (error) {
    if (error instanceof AgentError && error.code === 'datastore-mismatch') return null
    throw error
  }
}

async function turn({ bulk }: OperationHost, { progress, signal }: Task): Promise<Disposable> {
  progress.begin('waiting for other operations on this host')
  return await bulk.enter(signal)
}

async function undoChange({ datastore, folder }: VmSite, plan: Plan, previous: VmDocument | null): Promise<void> {
  await (previous === null ? undoCreation(datastore, folder, plan) : undo(folder, plan))
}

/** A journal that is not at its end belongs to an operation that has to be recovered first. */
async function refuseUnfinished(folder: Folder): Promise<void> {
  const journal = await readJournal(folder)
  if (journal === null) return
  const { state, operationId } = journal.content
  if (state !== 'cleaned') {
    throw new AgentError('vm-busy', `operation ${operationId} on this VM was not brought to its end; recover it first`)
  }
  await folder.remove(journalName)
  await folder.sync()
}
