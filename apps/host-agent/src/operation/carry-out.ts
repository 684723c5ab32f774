import { isDeepStrictEqual } from 'node:util'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { documentOf, readVmDocument, type VmDocument, writeVmDocument } from '../datastore/vm-document.ts'
import { homeFolderName, requireHome } from '../home/configuration.ts'
import { type Change, make } from './changes.ts'
import { checkMade } from './check-made.ts'
import { finish, undo, undoCreation } from './clean.ts'
import { staysHalfway } from './halfway.ts'
import type { OperationHost, Task } from './host.ts'
import type { Incoming } from './incoming.ts'
import { isInPlace } from './journal.ts'
import type { Resumed } from './journal-keys.ts'
import type { KeyLoans } from './key-loans.ts'
import { homeGenerationAfter, type Plan } from './plan.ts'
import { giveBackLayer, leaveOldPlace } from './taken-layer.ts'
import type { VmSite } from './vm-site.ts'
import type { Made } from './work.ts'

/** A change that is about to be carried out: all is locked, lent and agreed that it needs. */
export interface ReadyChange {
  readonly change: Change
  readonly plan: Plan
  readonly site: VmSite
  readonly keys: KeyLoans
  /** `vm.json` as it is; `null` for a VM that is being created. */
  readonly previous: VmDocument | null
  /** What an import is sent. */
  readonly content: Incoming | null
  /** What an earlier try left. */
  readonly resumed: Resumed | null
}

/**
 * Carries a change out to its end, whole or not at all: what fails or is cancelled before the commit is undone before this
 * rejects, and after the commit it does not reject. The one commit is the rename of `vm.json`. An agent that stops leaves
 * what has a journal as it is, to be gone on with: then this rejects with AgentError `left`.
 */
export async function carryOut(host: OperationHost, task: Task, ready: ReadyChange): Promise<VmAuthority> {
  const { change, plan, site, keys, previous, content, resumed } = ready
  using stack = new DisposableStack()
  let made: Made
  let document: VmDocument
  try {
    const { folder } = site
    await using home = (await folder.folder(homeFolderName)) ?? (await newHome(folder, previous))
    const { storage, datastores, bulk, unlocking, lanes, checkpointBytes, warn } = host
    const { progress, pace, signal } = task
    const moving = { storage, datastores, bulk, unlocking, lanes, pace, checkpointBytes, verifies: verifiesOf(change) }
    const work = { plan, folder, home, previous, progress, signal, task, ...moving, resumed, stack, keys, warn }
    made = await make(work, change, content)
    document = documentOf(made.next, homeGenerationAfter(plan, previous?.home.generation ?? null))
    if (isInPlace(plan.direction)) {
      await bringToCommit(folder, plan, made.next, document, keys, task)
    } else {
      await checkMade(folder, plan, made.next, document, keys)
      signal.throwIfAborted()
    }
  } catch (error) {
    if (isLeft(task, plan, error))
      throw new AgentError('left', 'the agent stops; it goes on when it is back', { cause: error })
    if (await staysHalfway(site.folder, plan, resumed !== null, error)) throw error
    await task.insist('undoing', () => undoChange(site, plan, previous))
    throw error
  }
  if (!isInPlace(plan.direction)) await commit(site, plan, previous, document, task)
  await task.insist('removing what was replaced', async () => {
    await finish(site.folder, plan, document, made.journal)
    await leaveOldPlace(site.datastore, site.folder, plan)
  })
  await site.machine?.becomes(made.next)
  task.progress.begin('done')
  return made.next
}

/** `home/` of a VM that is being made; one that exists has it. */
async function newHome(folder: Folder, previous: VmDocument | null): Promise<Folder> {
  return previous === null ? await folder.makeFolder(homeFolderName) : await requireHome(folder)
}

/**
 * Checks and commits what was rewritten in place: nothing leads back, and so both are done until they work. Rejects with
 * AgentError `left` alone.
 */
async function bringToCommit(
  folder: Folder,
  plan: Plan,
  next: VmAuthority,
  document: VmDocument,
  keys: KeyLoans,
  task: Task,
): Promise<void> {
  await task.insist('checking what was made', () => checkMade(folder, plan, next, document, keys))
  await task.insist('committing', () => writeVmDocument(folder, document))
}

/** Whether an operation that was stopped stays as it is: the agent stops, and the journal says how to go on. */
function isLeft({ signal }: Task, { direction }: Plan, error: unknown): boolean {
  if (error instanceof AgentError && error.code === 'left') return true
  if (isInPlace(direction) && isStopping(error)) return true
  return direction !== null && signal.aborted && isStopping(signal.reason)
}

function isStopping(reason: unknown): boolean {
  return reason instanceof AgentError && reason.code === 'stopping'
}

function verifiesOf(change: Change): boolean {
  return !('verify' in change) || change.verify !== false
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

async function undoChange({ datastore, folder }: VmSite, plan: Plan, previous: VmDocument | null): Promise<void> {
  await giveBackLayer(datastore, folder, plan)
  await (previous === null ? undoCreation(datastore, folder, plan) : undo(folder, plan))
}
