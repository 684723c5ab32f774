/** What a QEMU is started as. Disks and keys are not here: they are given over the monitor, before the guest runs. */
export interface MachineDescription {
  /** The VM's ID, a UUID: the guest sees it as the machine's. */
  readonly vmId: string
  readonly memoryMib: number
  readonly cpuCount: number
  readonly acceleration: 'kvm' | 'tcg'
  /** How many disks may be plugged in at one time, now or while it runs: each has a port of its own (`portName`). */
  readonly portCount: number
  /** Where the host may swap: QEMU keeps all its memory, with the keys of its disks, in RAM. Costs RAM for all of the guest’s at once. */
  readonly lockMemory: boolean
  /** Without it SeaBIOS boots from the first disk. */
  readonly directBoot?: DirectBoot
  /** Whether it waits for a stream of memory (a resume, a migration) instead of starting its guest anew. */
  readonly incoming?: boolean
}

/** A Linux that QEMU loads itself, past firmware and boot loader. */
export interface DirectBoot {
  readonly kernel: string
  readonly initrd: string
  readonly commandLine: string
}

/** A q35 has no room for more. */
export const portCountMax = 64

/** Names of files in a VM's run folder, which is QEMU's working directory: paths of sockets may have 107 bytes only. */
export const runFiles = {
  monitor: 'monitor',
  console: 'console',
  consoleLog: 'console.log',
  log: 'qemu.log',
} as const

/** The bus that the disk in this port is plugged into (`device_add`, `bus`). */
export const portName = (index: number) => `port${index}`
