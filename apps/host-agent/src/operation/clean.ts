import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import { freshName } from '../datastore/folder.ts'
import { type VmDocument, vmDocumentName } from '../datastore/vm-document.ts'
import { vmLockName } from '../datastore/vm-lock.ts'
import { configurationName, homeFolderName, isConfigurationName } from '../home/configuration.ts'
import { creatingName } from './create-vm.ts'
import { type Journal, journalName } from './journal.ts'
import type { Plan } from './plan.ts'

/**
 * Undoes an operation that was not committed: removes what its plan makes, half made or whole, and its journal. Does no
 * harm where there is nothing. `document` is `vm.json` as it stands. Throws AgentError `io`; then it may be done again.
 */
export async function undo(folder: Folder, plan: Plan, document: VmDocument): Promise<void> {
  await removeAll(folder, [...plan.makes.flatMap((name) => [name, freshName(name)]), freshName(vmDocumentName)])
  await removeStaleConfigurations(folder, document)
  await removeAll(folder, [journalName, freshName(journalName)])
}

/** Undoes a creation: the folder goes too, unless somebody has put something else into it. */
export async function undoCreation(datastore: Folder, folder: Folder, plan: Plan): Promise<void> {
  const names = [...plan.makes, vmDocumentName, journalName]
  await removeAll(folder, names.flatMap((name) => [freshName(name)]).concat(plan.makes))
  await removeStaleConfigurations(folder, null)
  await folder.removeFolder(homeFolderName)
  await removeAll(folder, [vmLockName, creatingName, freshName(creatingName)])
  await datastore.removeFolder(plan.vm.folder)
}

/**
 * Ends an operation that was committed: makes the commit durable, then removes what `vm.json` names no longer. The journal
 * stays, in state `cleaned`. Does no harm when done again. Throws AgentError `io`; then it must be done again.
 */
export async function finish(folder: Folder, plan: Plan, document: VmDocument, journal: Journal | null): Promise<void> {
  await folder.sync()
  await journal?.write('switched')
  const named = plan.removes.filter((name) => document.disks.some(({ layerId }) => name.startsWith(`${layerId}.`)))
  if (named.length > 0) throw new AgentError('internal', `${named.join(', ')}: is to be removed and still in use`)
  await removeAll(folder, [...plan.removes, freshName(vmDocumentName)])
  await removeStaleConfigurations(folder, document)
  await journal?.write('cleaned')
}

/** Removes files of the folder itself, durably. */
export async function removeAll(folder: Folder, names: readonly string[]): Promise<void> {
  let removed = false
  for (const name of names) removed = (await folder.remove(name)) || removed
  if (removed) await folder.sync()
}

/** Removes every configuration in `home/` but the one that `document` names; all of them when it is `null`. */
export async function removeStaleConfigurations(folder: Folder, document: VmDocument | null): Promise<void> {
  await using home = await folder.folder(homeFolderName)
  if (home === null) return
  const kept = document === null ? null : configurationName(document.home.generation, document.encryption !== null)
  const stale = (await home.names()).filter((name) => isConfigurationName(name) && name !== kept)
  await removeAll(home, stale)
}
