import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { KeyRecordError } from '@cryptvisor/key-record'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { differenceOf, readVmDocument, type VmDocument } from '../datastore/vm-document.ts'
import { layerName } from '../disk/layer-file.ts'
import { carryOut } from './carry-out.ts'
import { type Change, planOf } from './changes.ts'
import { checkMade } from './check-made.ts'
import { finish, undo, undoCreation } from './clean.ts'
import { isCreatedBy } from './create-site.ts'
import { refuseHalfway, staysHalfway } from './halfway.ts'
import type { OperationHost, Task } from './host.ts'
import { virtualBytesOf } from './import-disk.ts'
import { importedSizes } from './imported-sizes.ts'
import { isInPlace, type JournalContent, readJournal } from './journal.ts'
import { authenticJournal, type Resumed, resumableJournal } from './journal-keys.ts'
import { isKeptHeaderName } from './kept-header.ts'
import { KeyLoans } from './key-loans.ts'
import { limitPace } from './limit-pace.ts'
import { type Plan, type Sizes, withSizes } from './plan.ts'
import { giveBackLayer, leaveOldPlace } from './taken-layer.ts'
import { openSiteFor, type VmSite } from './vm-site.ts'

/** What became of an operation that nobody finished; `unknown`: it had not begun, and there is no trace of it. */
export type Recovery =
  | { readonly state: 'done'; readonly vm: VmAuthority | null }
  /** `error`: why; `null` when it was only interrupted. */
  | { readonly state: 'failed'; readonly error: unknown }
  | { readonly state: 'unknown' }

/**
 * Brings a change to its end after a crash, with the request that the control plane confirms: one that was committed is
 * finished, one with an authentic journal gone on with where it stood, any other undone. Nothing that lies on the datastore is taken at its word: what is removed follows from the
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
  await using site = await openSiteFor(host, change, plan.vm)
  if (site === null) return nothingThere(plan)
  const document = await readVmDocument(site.folder)
  if (document !== null && document.generation === plan.next.generation && document.vmId === plan.vm.vmId) {
    return { state: 'done', vm: await finishCommitted(host, task, site, plan, change, document) }
  }
  const gone = await goOn(host, task, site, plan, change, document)
  if (gone !== null) return gone
  if (plan.vm.generation === 0) return await undoCreated(task, site, plan, document)
  return await undoChanged(host, task, site, plan, document)
}

/** Goes on with a change whose journal shows how far it is; `null` when it does not, or its keys are not here. */
async function goOn(
  host: OperationHost,
  task: Task,
  site: VmSite,
  plan: Plan,
  change: Change,
  document: VmDocument | null,
): Promise<Recovery | null> {
  if (plan.direction === null || !(await isBefore(site, plan, document))) return null
  using stack = new DisposableStack()
  const keys = heldKeys(host, plan, stack)
  if (keys === null) return null
  const resumed = await beginningsOf(site, plan, document, keys, stack)
  if (resumed === null) return null
  limitPace(task, change)
  try {
    const ready = { change, plan, site, keys, previous: document, content: null, resumed }
    return { state: 'done', vm: await carryOut(host, task, ready) }
  } catch (error) {
    if (error instanceof AgentError && (error.code === 'left' || error.code === 'stopping')) throw error
    // It could not be undone: whoever asks next tries again to go on.
    if (await staysHalfway(site.folder, plan, true, error)) throw error
    return { state: 'failed', error }
  }
}

/** Whether `vm.json` is as it was before the change: missing, where the change makes the VM in a folder of its own. */
async function isBefore({ folder }: VmSite, plan: Plan, document: VmDocument | null): Promise<boolean> {
  if (plan.vm.generation > 0) return document !== null && differenceOf(document, plan.vm) === null
  return document === null && (await isCreatedBy(folder, plan.operationId))
}

/** The journal to go on with; one that does not open is none. */
async function beginningsOf(
  { folder }: VmSite,
  plan: Plan,
  document: VmDocument | null,
  keys: KeyLoans,
  stack: DisposableStack,
): Promise<Resumed | null> {
  try {
    return await resumableJournal(folder, plan, document, keys, stack)
  } catch (error) {
    if (error instanceof KeyRecordError || error instanceof AgentError) return null
    throw error
  }
}

/** `null` when this host does not hold what it would take. */
function heldKeys(host: OperationHost, plan: Plan, stack: DisposableStack): KeyLoans | null {
  try {
    return stack.use(new KeyLoans(host.keys, plan.keys, host.cryptoSupported))
  } catch (error) {
    if (error instanceof AgentError) return null
    throw error
  }
}

function nothingThere(plan: Plan): Recovery {
  if (plan.vm.generation === 0) return { state: 'unknown' }
  throw new AgentError('file-missing', `${plan.vm.datastorePath}/${plan.vm.folder}: the VM’s folder is missing`)
}

async function finishCommitted(
  host: OperationHost,
  task: Task,
  { datastore, folder, machine }: VmSite,
  plan: Plan,
  change: Change,
  document: VmDocument,
): Promise<VmAuthority> {
  using stack = new DisposableStack()
  const keys = stack.use(new KeyLoans(host.keys, plan.keysToFinish ?? plan.keys, host.cryptoSupported))
  const next = withSizes(plan, await sizesOf(folder, plan, change, document, keys))
  const difference = differenceOf(document, next)
  if (difference !== null) throw new AgentError('datastore-mismatch', `${folder.path}/vm.json: ${difference}`)
  const journal = plan.direction === null ? null : stack.use(await authenticJournal(folder, plan, next, document, keys))
  await checkMade(folder, plan, next, document, keys)
  await task.insist('removing what was replaced', async () => {
    await finish(folder, plan, document, journal)
    await leaveOldPlace(datastore, folder, plan)
  })
  await machine?.becomes(next)
  task.progress.begin('done')
  return next
}

/** Sizes of the measured layers as `vm.json` says them; `checkMade` compares them with the files. */
async function sizesOf(
  folder: Folder,
  { measured, next }: Plan,
  change: Change,
  document: VmDocument,
  keys: KeyLoans,
): Promise<Map<string, Sizes>> {
  if (change.kind === 'import-volume') return await importedSizes(folder, next, document, keys)
  const sizes = new Map<string, Sizes>()
  for (const { layerId, format, virtualBytes, encryption } of next.disks) {
    const written = document.disks.find((disk) => disk.layerId === layerId)?.payloadBytes
    const payloadBytes = change.kind === 'import-disk' ? change.payloadBytes : written
    if (payloadBytes === undefined || !measured.includes(layerId)) continue
    const place = folder.place(layerName({ layerId, format, encryption }))
    const imported = change.kind === 'import-disk' ? await virtualBytesOf(place, format, payloadBytes) : virtualBytes
    sizes.set(layerId, { payloadBytes, virtualBytes: imported })
  }
  return sizes
}

async function undoChanged(
  host: OperationHost,
  task: Task,
  { datastore, folder }: VmSite,
  plan: Plan,
  document: VmDocument | null,
): Promise<Recovery> {
  const difference = document === null ? 'is missing' : differenceOf(document, plan.vm)
  if (document === null || difference !== null) {
    throw new AgentError('datastore-mismatch', `${folder.path}/vm.json: ${difference}`)
  }
  const traces = await tracesOf(folder, plan)
  if (traces && isInPlace(plan.direction)) {
    // Without its keys there is no telling whether its journal is the one to go on with.
    using _keys = new KeyLoans(host.keys, plan.keys, host.cryptoSupported)
    await refuseHalfway(folder, plan)
  }
  await task.insist('undoing', async () => {
    await giveBackLayer(datastore, folder, plan)
    await undo(folder, plan)
  })
  return traces ? { state: 'failed', error: null } : { state: 'unknown' }
}

async function undoCreated(
  task: Task,
  { datastore, folder }: VmSite,
  plan: Plan,
  document: VmDocument | null,
): Promise<Recovery> {
  // A folder that somebody else made is no trace of ours.
  if (document !== null || !(await isCreatedBy(folder, plan.operationId))) return { state: 'unknown' }
  await task.insist('undoing', () => undoCreation(datastore, folder, plan))
  return { state: 'failed', error: null }
}

/**
 * Whether an operation has left anything in the VM's folder. Throws AgentError `vm-busy` when another one comes first,
 * `datastore-mismatch` where a disk may have been rewritten in place and what should tell is no journal of ours.
 */
async function tracesOf(folder: Folder, { makes, operationId }: Plan): Promise<boolean> {
  const content = await contentOf(folder)
  if (content === 'damaged' || content?.operationId === operationId) return true
  if (content !== undefined && content.state !== 'cleaned') {
    throw new AgentError('vm-busy', `operation ${content.operationId} on this VM comes first; recover that one`)
  }
  for (const name of makes) if (await folder.has(name)) return true
  return false
}

/** What the journal says. One that cannot be read must not keep half-made files, which may be plain, from being removed. */
async function contentOf(folder: Folder): Promise<JournalContent | 'damaged' | undefined> {
  try {
    return (await readJournal(folder))?.content
  } catch (error) {
    const isDamaged = error instanceof AgentError && error.code === 'datastore-mismatch'
    if (isDamaged && !(await folder.names()).some(isKeptHeaderName)) return 'damaged'
    throw error
  }
}
