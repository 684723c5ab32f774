import type { DiskAuthority, VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { Place } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { errnoOf, ioError } from '../io-error.ts'
import { refused } from './plan.ts'

/** Makes sure that a disk can be what lies on a block device, as far as the request tells. Throws AgentError `refused`. */
export function checkDevicePlan({ format, encryption, device }: DiskAuthority, vm: VmAuthority): void {
  if (format !== 'raw') throw refused(`format: a disk on a block device is raw, not ${format}`)
  if (encryption !== null) throw refused('key: a disk on a block device is added as it lies, plain; encrypt it then')
  const other = vm.disks.find((disk) => disk.device === device)
  if (other !== undefined) throw refused(`device: ${device} is that of disk ${other.number}`)
}

/**
 * Makes sure that a block device holds a disk of `virtualBytes`, is not in use, and under no other name is the device of another
 * disk of the VM. Throws AgentError `refused`, `io`.
 */
export async function checkDevice(
  folder: Folder,
  device: string,
  virtualBytes: number,
  disks: readonly DiskAuthority[],
): Promise<void> {
  const place = await folder.device(device)
  for (const { number, device: other } of disks) {
    if (other === undefined || other === device) continue
    if ((await folder.device(other)).path === place.path) throw refused(`device: ${device} is that of disk ${number}`)
  }
  const sizeBytes = await freeSizeBytes(place)
  if (sizeBytes >= virtualBytes) return
  throw refused(`virtualBytes: ${device} has ${sizeBytes} bytes, fewer than the disk of ${virtualBytes}`)
}

/** The size of a device that nobody else has open for writing alone, such as a file system or a swap area. */
async function freeSizeBytes(place: Place): Promise<number> {
  try {
    await using device = await place.open('write')
    return (await device.stat()).sizeBytes
  } catch (cause) {
    if (cause instanceof AgentError) throw cause
    const errno = errnoOf(cause)
    if (errno === 'EBUSY') throw refused(`device: ${place.path} is in use; end that first`)
    if (errno === 'ENOTBLK') throw refused(`device: ${place.path} is not a block device`)
    if (errno === 'ENOENT') throw refused(`device: ${place.path} is not there on this host`)
    throw ioError(`${place.path}: cannot be opened`, cause)
  }
}
