import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { type Image, inspectImage } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import type { VmDocument } from '../datastore/vm-document.ts'
import { layerName } from '../disk/layer-file.ts'
import { openDisk } from '../disk/open-disk.ts'
import { virtualBytesOfPayload } from './foreign-file.ts'
import type { KeyLoans } from './key-loans.ts'
import type { Sizes } from './plan.ts'

/**
 * What the volume of a committed import told, which nothing but `vm.json` and the layer still say: of an encrypted layer
 * its authentic key record has to agree with `vm.json`, LUKS UUID and all. Throws what opening the layer throws.
 */
export async function importedSizes(
  folder: Folder,
  next: VmAuthority,
  document: VmDocument,
  keys: KeyLoans,
): Promise<Map<string, Sizes>> {
  const sizes = new Map<string, Sizes>()
  const disk = next.disks.at(-1)
  const written = document.disks.find(({ layerId }) => layerId === disk?.layerId)
  if (disk === undefined || written === undefined) return sizes
  const { payloadBytes } = written
  if (disk.encryption === null) {
    const place = folder.place(layerName(disk))
    const { fileSizeBytes } = await inspectImage(place, disk.format)
    const image: Image = { kind: 'plain', place, sizeBytes: fileSizeBytes }
    sizes.set(disk.layerId, { payloadBytes, virtualBytes: await virtualBytesOfPayload(image, disk.format) })
  } else {
    const luksUuid = written.encryption?.luksUuid ?? disk.layerId
    const adopted = { ...disk, payloadBytes, encryption: { ...disk.encryption, luksUuid } }
    using layer = await openDisk(folder, adopted, keys.of(disk.encryption.keys))
    const virtualBytes = await virtualBytesOfPayload(layer.image, disk.format)
    sizes.set(disk.layerId, { payloadBytes, virtualBytes, luksUuid })
  }
  return sizes
}
