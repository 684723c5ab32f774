import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Place } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { isInPlace, type JournalContent, readJournal } from '../operation/journal.ts'
import { layerName } from './layer-file.ts'

/**
 * Where a disk's layer lies: its file in the VM's folder, or its block device, as the control plane names it. Throws AgentError
 * `refused` for a device that this host does not let VMs use, and for one that is being rewritten in place: until that is
 * done nothing may open it.
 */
export async function layerPlace(folder: Folder, disk: DiskAuthority): Promise<Place> {
  if (disk.device === undefined) return folder.place(layerName(disk))
  // The journal need not be authentic for this: at worst whoever forges one keeps the disk from being used.
  const journal = await readJournal(folder)
  if (journal !== null) refuseHalfway(journal.content, disk)
  return await folder.device(disk.device)
}

function refuseHalfway(content: JournalContent, { number, diskId, layerId }: DiskAuthority): void {
  if (!isInPlace(content.direction)) return
  const next = content.next.disks.find((disk) => disk.diskId === diskId)
  const part = content.parts.find((other) => other.layerId === next?.layerId)
  if (part === undefined || part.state === 'waiting') return
  // The layer that it becomes is whole from «ready» on, the one that it was is gone.
  const whole = content.state === 'switched' || content.state === 'cleaned' || content.state === 'ready'
  if (whole && layerId === part.layerId) return
  const verb = content.direction === 'encrypt-in-place' ? 'encrypted' : 'decrypted'
  throw new AgentError(
    'refused',
    `disk ${number} is being ${verb} in place; operation ${content.operationId} has to come to its end first`,
  )
}
