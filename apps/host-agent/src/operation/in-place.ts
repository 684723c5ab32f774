import type { DiskAuthority, VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { openSource, type Place, type SourceVersion } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { chosenDisks } from './chosen-disks.ts'
import { type Plan, refused } from './plan.ts'

/** Whether one of the disks that a request names lies on a block device, where it is rewritten in place. */
export function namesDevice(vm: VmAuthority, disks: readonly { readonly diskId: string }[]): boolean {
  return vm.disks.some(({ diskId, device }) => device !== undefined && disks.some((disk) => disk.diskId === diskId))
}

/** The disk on a block device that a request names. Throws AgentError `refused` unless it is the only one. */
export function deviceDisk<Choice extends { readonly diskId: string }>(
  vm: VmAuthority,
  disks: readonly Choice[],
  homeIsChosen: boolean,
): { readonly disk: DiskAuthority & { readonly device: string }; readonly choice: Choice } {
  const chosen = chosenDisks(vm, disks, homeIsChosen)
  for (const { disk, choice } of chosen) {
    const { device, number } = disk
    if (device === undefined) continue
    if (chosen.length > 1) {
      throw refused(`disks: disk ${number} lies on a block device and is rewritten in place: name it alone`)
    }
    if (disk.format !== 'raw') throw refused(`disks: disk ${number} lies on a block device and is not raw`)
    return { disk: { ...disk, device }, choice }
  }
  throw new AgentError('internal', 'no disk of this request lies on a block device')
}

/** The device of a disk, with room for the disk and what goes before its payload. Throws AgentError `refused`. */
export async function roomyDevice(
  folder: Folder,
  { device, number, payloadBytes }: DiskAuthority & { readonly device: string },
  shiftBytes: number,
): Promise<{ readonly place: Place; readonly version: SourceVersion }> {
  const place = await folder.device(device)
  await using source = await openSource({ kind: 'plain', place, sizeBytes: payloadBytes })
  const { version } = source
  const missingBytes = payloadBytes + shiftBytes - version.sizeBytes
  if (missingBytes <= 0) return { place, version }
  throw refused(
    `disk ${number}: ${device} has ${version.sizeBytes} bytes; encrypting it in place takes 2 MiB more than the disk has: grow by 2 MiB, to ${payloadBytes + shiftBytes} bytes or more`,
  )
}

/** The disk as it will be. */
export function nextDisk({ next }: Plan, diskId: string): DiskAuthority {
  const disk = next.disks.find((other) => other.diskId === diskId)
  if (disk === undefined) throw new AgentError('internal', 'the plan lacks its disk')
  return disk
}
