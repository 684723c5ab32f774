import { ControlPlaneError } from '../../control-plane-error.ts'
import type { VmChange } from '../tasks/task-context.ts'
import type { VmRecord } from '../vms/vm-store.ts'
import { isOn } from './machine-store.ts'

/** What is done to a VM, beside its power. */
export type VmDeed = VmChange['kind'] | 'export-disk' | 'backup-header' | 'erase' | 'unregister' | 'migrate'

interface PowerNeed {
  /** In which state a VM has to be; `any`: its agent knows a way for one that runs. */
  readonly needs: 'off' | 'any'
  /** In words, after «to». */
  readonly deed: string
}

/** What of a VM can be done while it runs, and what cannot: the one place that says so. */
export const powerNeeds: Readonly<Record<VmDeed, PowerNeed>> = {
  'create-vm': { needs: 'off', deed: 'make it' },
  'delete-vm': { needs: 'off', deed: 'delete it' },
  encrypt: { needs: 'off', deed: 'encrypt it' },
  decrypt: { needs: 'off', deed: 'decrypt it' },
  'shallow-rekey': { needs: 'any', deed: 'rekey it' },
  'deep-rekey': { needs: 'off', deed: 'rekey it deeply' },
  relabel: { needs: 'off', deed: 'give it another storage policy' },
  'add-disk': { needs: 'off', deed: 'add a disk' },
  'import-disk': { needs: 'off', deed: 'import a disk' },
  'import-volume': { needs: 'off', deed: 'import a volume' },
  'restore-header': { needs: 'off', deed: 'restore the header of a disk' },
  'detach-disk': { needs: 'off', deed: 'take a disk from it' },
  'attach-disk': { needs: 'off', deed: 'attach a disk' },
  'clone-vm': { needs: 'off', deed: 'clone it' },
  'export-disk': { needs: 'off', deed: 'export a disk' },
  'backup-header': { needs: 'off', deed: 'back up the header of a disk' },
  erase: { needs: 'off', deed: 'erase it' },
  unregister: { needs: 'off', deed: 'take it out of the inventory' },
  migrate: { needs: 'off', deed: 'give it to another host' },
}

/** Throws `wrong-power-state` where the deed needs the VM to be off, and it runs or may. */
export function requirePowerFor(vm: Pick<VmRecord, 'row' | 'machine' | 'hostName'>, what: VmDeed): void {
  const { needs, deed } = powerNeeds[what]
  if (needs === 'any' || vm.machine === null || !isOn(vm.machine)) return
  throw new ControlPlaneError('wrong-power-state', `${whyNotOff(vm)}. Power it off first to ${deed}: ${cureOf(vm)}`)
}

/** In words that a VM is not off. */
export function whyNotOff({ row, machine, hostName }: Pick<VmRecord, 'row' | 'machine' | 'hostName'>): string {
  return machine?.state === 'unknown'
    ? `VM ${row.name} may be running: nothing is known of it, since host ${hostName} is not connected or did not say`
    : `VM ${row.name} is ${machine?.state ?? 'off'} on host ${hostName}`
}

/** The refusal of what the state of a VM does not allow, with what to do. */
export function wrongState(vm: Pick<VmRecord, 'row' | 'machine' | 'hostName'>, cure: string): ControlPlaneError {
  return new ControlPlaneError('wrong-power-state', `${whyNotOff(vm)}: ${cure}`)
}

/** What to do about a VM of which nothing is known. */
export function unknownCure({ row }: Pick<VmRecord, 'row'>): string {
  return `start the agent of its host, or, where that machine is certainly off, «vm declare-off ${row.name}»`
}

function cureOf({ row, machine }: Pick<VmRecord, 'row' | 'machine'>): string {
  return machine?.state === 'unknown'
    ? unknownCure({ row })
    : `«vm shut-down ${row.name}», or «vm power-off ${row.name}»`
}
