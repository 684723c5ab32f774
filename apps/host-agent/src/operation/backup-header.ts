import type { BackupHeader, DiskAuthority } from '@cryptvisor/host-agent-api'
import { backupHeader, readRecordCopies, recordPlaceOf } from '@cryptvisor/luks'
import { AgentError } from '../agent-error.ts'
import { type LuksFileHeader, readLuksHeader } from '../data-path/luks-file.ts'
import { isPlausible } from '../disk/disk-record.ts'
import { keyName } from '../disk/layer-file.ts'
import { layerPlace } from '../disk/layer-place.ts'
import { recordAuthorityOf } from '../disk/open-disk.ts'
import type { OperationHost } from './host.ts'
import { agentErrorOf } from './operation-error.ts'
import { refused } from './plan.ts'
import { refuseUnfinished } from './refuse-unfinished.ts'
import { agreedDocument, requireVmSite } from './vm-site.ts'

/**
 * A backup of an encrypted disk's LUKS header, key record included. It takes no key, and so works on a VM that is locked; what
 * can be told without one must be as the control plane knows it, so that nobody keeps a header that is no use. Rejects with
 * AgentError: `refused` for a header that is damaged, or a disk whose key record is a file beside it.
 */
export async function backupDiskHeader(host: OperationHost, { vm, diskId }: BackupHeader): Promise<Buffer> {
  try {
    const disk = encryptedDisk(vm.disks, diskId)
    await using site = await requireVmSite(host.datastores, vm)
    await agreedDocument(site.folder, vm)
    await refuseUnfinished(site.folder)
    const file = await readLuksHeader(await layerPlace(site.folder, disk))
    checkIsOf(disk, file)
    return Buffer.from(backupHeader(file.bytes))
  } catch (error) {
    throw agentErrorOf(error)
  }
}

/** The disk whose header is meant. Throws AgentError `refused` where there is none, or it is plain. */
export function encryptedDisk(disks: readonly DiskAuthority[], diskId: string): DiskAuthority {
  const disk = disks.find((other) => other.diskId === diskId)
  if (disk === undefined) throw refused(`diskId: the VM has no disk ${diskId}`)
  if (disk.encryption === null) throw refused(`disk ${disk.number} is plain: it has no LUKS header`)
  return disk
}

/** Refuses a volume whose key record is a file: a header alone would bring nothing back. */
export function requireRecordInHeader({ number, layerId }: DiskAuthority, header: LuksFileHeader['header']): void {
  if (recordPlaceOf(header) === 'header') return
  throw refused(
    `disk ${number} was adopted and its header has no room for its key record, which is the file ${keyName(layerId)}: keep copies of both files, or give the disk a header of its own by a deep rekey`,
  )
}

function checkIsOf(disk: DiskAuthority, { header, bytes }: LuksFileHeader): void {
  const known = recordAuthorityOf(disk)
  if (known.kind !== 'disk' || header.uuid !== known.luksUuid) {
    throw new AgentError('datastore-mismatch', `disk ${disk.number}: what lies there is LUKS volume ${header.uuid}`)
  }
  requireRecordInHeader(disk, header)
  const copies = Object.values(readRecordCopies(bytes, header))
  if (copies.some((copy) => copy.state === 'text' && isPlausible(copy.text, known))) return
  throw refused(
    `disk ${disk.number}: its header has no key record as the control plane knows it; restore an earlier backup instead`,
  )
}
