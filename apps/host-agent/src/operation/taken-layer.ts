import { AgentError } from '../agent-error.ts'
import type { Folder } from '../datastore/folder.ts'
import type { Plan } from './plan.ts'

/*
 * A layer moves from one folder of a datastore to another by a second name. Until the commit it has the first one too, and so
 * nothing but a name has to be taken back; at no moment has it none.
 */

/** Gives the layer its name in the VM's folder, durably. Throws AgentError `file-missing`, `datastore-mismatch`. */
export async function takeLayer(datastore: Folder, folder: Folder, { takes }: Plan): Promise<void> {
  if (takes === undefined) return
  await using source = await datastore.folder(takes.folder)
  if (source === null) throw new AgentError('file-missing', `${datastore.path}/${takes.folder}: is missing`)
  // The first one is the layer; an adopted one may have its key record in a file of its own, or may not.
  for (const [index, name] of takes.names.entries()) {
    if (index > 0 && !(await source.has(name))) continue
    await source.linkTo(folder, name)
  }
  await folder.sync()
}

/** Takes the name in the VM's folder back. One that is the layer's only name stays. */
export async function giveBackLayer(datastore: Folder, folder: Folder, { takes }: Plan): Promise<void> {
  if (takes === undefined) return
  await using source = await datastore.folder(takes.folder)
  for (const name of takes.names) if ((await source?.sameFile(folder, name)) === true) await folder.remove(name)
  await folder.sync()
}

/** After the commit: the name in the other folder goes, and that folder with the last one. Does no harm when done again. */
export async function leaveOldPlace(datastore: Folder, folder: Folder, { takes }: Plan): Promise<void> {
  if (takes === undefined) return
  {
    await using source = await datastore.folder(takes.folder)
    if (source === null) return
    for (const name of takes.names) if (await source.sameFile(folder, name)) await source.remove(name)
    await source.sync()
  }
  await datastore.removeFolder(takes.folder)
}
