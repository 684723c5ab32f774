import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { freshName } from '../datastore/folder.ts'
import { type VmDocument, vmDocumentName } from '../datastore/vm-document.ts'
import { vmLockName } from '../datastore/vm-lock.ts'
import { configurationName, homeFolderName, isConfigurationName } from '../home/configuration.ts'
import { nextKeySafeName, promoteKeySafe } from '../home/key-safe.ts'
import { creatingName } from './create-vm.ts'
import { type Journal, journalName } from './journal.ts'
import type { Plan } from './plan.ts'
import { keepNewRecords, keepOldRecords } from './rekeyed-records.ts'

/**
 * Undoes an operation that was not committed: removes what its plan makes, half made or whole, and its journal. Does no
 * harm where there is nothing. Throws AgentError `io`; then it may be done again.
 */
export async function undo(folder: Folder, plan: Plan): Promise<void> {
  if (plan.direction === 'shallow-rekey') await keepOldRecords(folder, plan)
  await removeAll(folder, [...plan.makes.flatMap((name) => [name, freshName(name)]), freshName(vmDocumentName)])
  await removeNextConfigurations(folder, plan)
  await removeAll(folder, [journalName, freshName(journalName)])
}

/** Undoes a creation: the folder goes too, unless somebody has put something else into it. */
export async function undoCreation(datastore: Folder, folder: Folder, plan: Plan): Promise<void> {
  const names = [...plan.makes, vmDocumentName, journalName]
  await removeAll(folder, names.flatMap((name) => [freshName(name)]).concat(plan.makes))
  await removeStaleConfigurations(folder, null)
  await folder.removeFolder(homeFolderName)
  await removeAll(folder, [journalName, vmLockName, creatingName, freshName(creatingName)])
  await datastore.removeFolder(plan.vm.folder)
}

/**
 * Ends an operation that was committed: makes the commit durable, then removes what `vm.json` names no longer. The journal
 * stays, in state `cleaned`. Does no harm when done again. Throws AgentError `io`; then it must be done again.
 */
export async function finish(folder: Folder, plan: Plan, document: VmDocument, journal: Journal | null): Promise<void> {
  await folder.sync()
  if (journal !== null) await writeSwitched(journal)
  if (plan.direction === 'shallow-rekey' && journal !== null) await keepNewRecords(folder, plan, journal)
  if (plan.makes.includes(nextKeySafeName)) await promoteKeySafe(folder)
  const named = plan.removes.filter((name) => document.disks.some(({ layerId }) => name.startsWith(`${layerId}.`)))
  if (named.length > 0) throw new AgentError('internal', `${named.join(', ')}: is to be removed and still in use`)
  await removeAll(folder, [...plan.removes, freshName(vmDocumentName)])
  // Where it was not rewritten, only `vm.json` says which one counts, and that is no reason to remove another.
  if (plan.rewritesHome) await removeStaleConfigurations(folder, document)
  await journal?.write('cleaned')
}

/** It tells people how far things are and nothing depends on it: where there is no room, removing makes some. */
async function writeSwitched(journal: Journal): Promise<void> {
  try {
    await journal.write('switched')
  } catch (error) {
    if (!(error instanceof AgentError && error.code === 'no-space')) throw error
  }
}

/**
 * Removes files of the folder itself, durably. It syncs also where nothing is there to remove: an earlier try may have removed
 * it and not come to its sync.
 */
export async function removeAll(folder: Folder, names: readonly string[]): Promise<void> {
  for (const name of names) await folder.remove(name)
  await folder.sync()
}

/** Removes every configuration in `home/` but the one that `document` names; all of them when it is `null`. */
export async function removeStaleConfigurations(folder: Folder, document: VmDocument | null): Promise<void> {
  await using home = await ownHome(folder)
  if (home === null) return
  const kept = document === null ? null : configurationName(document.home.generation, document.encryption !== null)
  const stale = (await home.names()).filter((name) => isConfigurationName(name) && name !== kept)
  await removeAll(home, stale)
}

/** Removes the configuration that an operation would have committed: never one that `vm.json` may name. */
async function removeNextConfigurations(folder: Folder, { next, rewritesHome }: Plan): Promise<void> {
  await using home = rewritesHome ? await ownHome(folder) : null
  if (home === null) return
  const names = [true, false].map((sealed) => configurationName(next.generation, sealed))
  await removeAll(
    home,
    names.flatMap((name) => [name, freshName(name)]),
  )
}

/** `home/`; `null` also where something else has its name: nothing in there is ours to remove. */
async function ownHome(folder: Folder): Promise<Folder | null> {
  try {
    return await folder.folder(homeFolderName)
  } catch (error) {
    if (error instanceof AgentError && error.code === 'datastore-mismatch') return null
    throw error
  }
}
