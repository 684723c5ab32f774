import { AgentError } from '../agent-error.ts'
import { isUuid } from '../uuid.ts'
import { type MachineDescription, portCountMax, portName, runFiles } from './machine-description.ts'

const functionsPerSlot = 8

/** The first slot of the root bus that is for ports; what q35 has itself, and what we put there, lies below. */
const firstPortSlot = 8

/** What QEMU keeps of translated code; its default of 1 GiB would lie in RAM as a whole where memory is locked. */
const translatedMib = 128

/**
 * What a QEMU forbids itself (seccomp): starting processes, other users, changes of its own limits, old calls. All that we do with one
 * works under it.
 */
const sandbox = 'on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny'

/** The arguments of QEMU for a machine. Throws AgentError `refused` for what no machine has. */
export function qemuArguments(description: MachineDescription): string[] {
  check(description)
  const { vmId, memoryMib, cpuCount, acceleration, directBoot } = description
  return [
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-S', '-msg', 'timestamp=on'],
    ...['-sandbox', sandbox, '-name', `guest=${vmId}`, '-uuid', vmId],
    // No dumps of the guest's memory, no sharing of it with other guests' (which tells them what is in it).
    ...['-machine', 'q35,dump-guest-core=off,mem-merge=off,vmport=off'],
    ...['-accel', acceleration === 'kvm' ? 'kvm' : `tcg,tb-size=${translatedMib}`],
    ...['-cpu', cpuModel(acceleration)],
    ...['-m', `${memoryMib}M`, '-smp', String(cpuCount)],
    ...(description.lockMemory ? ['-overcommit', 'mem-lock=on'] : []),
    ...['-chardev', `socket,id=monitor,path=${runFiles.monitor},server=on,wait=off`],
    ...['-mon', 'chardev=monitor,mode=control'],
    ...['-chardev', `socket,id=console,path=${runFiles.console},server=on,wait=off`],
    ...['-serial', 'chardev:console'],
    ...['-device', 'virtio-rng-pci,addr=0x2', '-device', 'pvpanic'],
    ...ports(description.portCount),
    ...(directBoot === undefined ? [] : ['-kernel', directBoot.kernel, '-initrd', directBoot.initrd]),
    ...(directBoot === undefined ? [] : ['-append', directBoot.commandLine]),
    ...(description.incoming === true ? ['-incoming', 'defer'] : []),
  ]
}

/** The processor that guests see: as much of the host’s, or of what is emulated, as there is. */
export const cpuModel = (acceleration: 'kvm' | 'tcg') => (acceleration === 'kvm' ? 'host' : 'max')

/** PCIe plugs devices into ports, and ports cannot be plugged in later. Eight share a slot. */
function ports(count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const slot = firstPortSlot + Math.floor(index / functionsPerSlot)
    const address = `0x${slot.toString(16)}.0x${(index % functionsPerSlot).toString(16)}`
    const isFirst = index % functionsPerSlot === 0
    return [
      '-device',
      `pcie-root-port,id=${portName(index)},chassis=${index + 1},addr=${address}${isFirst ? ',multifunction=on' : ''}`,
    ]
  }).flat()
}

function check({ vmId, memoryMib, cpuCount, portCount }: MachineDescription): void {
  const refuse = (field: string, expected: string) => {
    throw new AgentError('refused', `${field}: no machine can be made with it; expected ${expected}`)
  }
  if (!isUuid(vmId)) refuse('vmId', 'a UUID')
  if (!Number.isInteger(memoryMib) || memoryMib < 1) refuse('memoryMib', 'a whole number above 0')
  if (!Number.isInteger(cpuCount) || cpuCount < 1) refuse('cpuCount', 'a whole number above 0')
  if (!Number.isInteger(portCount) || portCount < 0 || portCount > portCountMax) {
    refuse('disks', `at most ${portCountMax} of them`)
  }
}
