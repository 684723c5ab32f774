import type { RemoveLayer } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Datastores } from '../datastore/datastores.ts'
import { readVmDocument } from '../datastore/vm-document.ts'
import { layerNames } from '../disk/layer-file.ts'
import { removeAll } from './clean.ts'

/**
 * Removes the files of a layer that was detached, durably, and its folder with the last of them; fine when they are gone. Throws
 * AgentError `refused` for one that a VM in this folder names as its disk.
 */
export async function removeLayer(datastores: Datastores, layer: RemoveLayer): Promise<void> {
  await using datastore = await datastores.open(layer)
  {
    await using folder = await datastore.folder(layer.folder)
    if (folder === null) return
    const document = await readVmDocument(folder)
    if (document?.disks.some(({ layerId }) => layerId === layer.layerId) === true) {
      throw new AgentError('refused', `layer ${layer.layerId}: is a disk of VM ${document.name}; detach it first`)
    }
    await removeAll(folder, layerNames(layer))
  }
  await datastore.removeFolder(layer.folder)
}
