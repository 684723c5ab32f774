import type { DiskAuthority, VmAuthority } from '@cryptvisor/host-agent-api'
import { refused } from './plan.ts'

/**
 * The VM's disks that a request names, by number, each with what the request says of it. Throws AgentError `refused` for
 * a disk that the VM has not, one named twice, and a request that names nothing at all.
 */
export function chosenDisks<Choice extends { readonly diskId: string }>(
  vm: VmAuthority,
  choices: readonly Choice[],
  homeIsChosen: boolean,
): { readonly disk: DiskAuthority; readonly choice: Choice }[] {
  if (vm.generation < 1) throw refused('vm.generation: this VM was not created yet')
  if (choices.length === 0 && !homeIsChosen) throw refused('disks: neither a disk nor VM Home is chosen')
  const chosen = choices.map((choice) => {
    const disk = vm.disks.find(({ diskId }) => diskId === choice.diskId)
    if (disk === undefined) throw refused(`disks: the VM has no disk ${choice.diskId}`)
    return { disk, choice }
  })
  if (new Set(choices.map(({ diskId }) => diskId)).size < choices.length) throw refused('disks: one is named twice')
  return chosen.toSorted((one, other) => one.disk.number - other.disk.number)
}
