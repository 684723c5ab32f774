import { flag, list, number, type Of, oneOf, optional, recursive, type Shape, structure, text } from '../shape.ts'
import type { Nothing } from './nothing.ts'

/** Whether the guest runs, and if not, why. `prelaunch`: QEMU was started with `-S` and nobody said `cont` yet. */
export const runStatus = oneOf(
  'debug',
  'inmigrate',
  'internal-error',
  'io-error',
  'paused',
  'postmigrate',
  'prelaunch',
  'finish-migrate',
  'restore-vm',
  'running',
  'save-vm',
  'shutdown',
  'suspended',
  'watchdog',
  'guest-panicked',
  'colo',
)
export type RunStatus = Of<typeof runStatus>

export const machineStatus = structure({ running: flag, status: runStatus })
export type MachineRunStatus = Of<typeof machineStatus>

export const cpuInfos = list(structure({ 'cpu-index': number, 'qom-path': text, 'thread-id': number, target: text }))
export type CpuInfo = Of<typeof cpuInfos>[number]

/** A device on a PCI bus; a bridge has the bus behind it. */
export interface PciDevice {
  readonly bus: number
  readonly slot: number
  readonly function: number
  readonly class_info: { readonly class: number; readonly desc?: string }
  readonly id: { readonly device: number; readonly vendor: number }
  readonly qdev_id: string
  readonly pci_bridge?: { readonly bus: { readonly number: number }; readonly devices?: readonly PciDevice[] }
}

const pciDevice: Shape<PciDevice> = recursive(() =>
  structure({
    bus: number,
    slot: number,
    function: number,
    class_info: structure({ desc: optional(text), class: number }),
    id: structure({ device: number, vendor: number }),
    qdev_id: text,
    pci_bridge: optional(structure({ bus: structure({ number }), devices: optional(list(pciDevice)) })),
  }),
)

export const pciBuses = list(structure({ bus: number, devices: list(pciDevice) }))
export const kvmInfo = structure({ enabled: flag, present: flag })
export const memorySize = structure({ 'base-memory': number, 'plugged-memory': optional(number) })
export const ioThreads = list(structure({ id: text, 'thread-id': number }))

/** A device to be plugged in; what else it takes depends on its driver. */
export interface NewDevice {
  readonly driver: string
  readonly id: string
  readonly bus?: string
  readonly drive?: string
  readonly [property: string]: string | number | boolean | undefined
}

/** What QEMU does when a guest does one of these. */
export interface Actions {
  readonly reboot?: 'reset' | 'shutdown'
  readonly shutdown?: 'poweroff' | 'pause'
  readonly panic?: 'pause' | 'shutdown' | 'exit-failure' | 'none'
  readonly watchdog?: 'reset' | 'shutdown' | 'poweroff' | 'pause' | 'debug' | 'none' | 'inject-nmi'
}

export interface MachineCommands {
  'query-status'(): MachineRunStatus
  cont(): Nothing
  stop(): Nothing
  system_reset(): Nothing
  /** Presses the power button; whether the guest heeds it is its own affair. */
  system_powerdown(): Nothing
  system_wakeup(): Nothing
  /** Ends QEMU at once. */
  quit(): Nothing
  'x-exit-preconfig'(): Nothing
  'set-action'(actions: Actions): Nothing
  device_add(device: NewDevice): Nothing
  /** Asks the guest to let it go; the event DEVICE_DELETED tells when it is gone. */
  device_del(device: { readonly id: string }): Nothing
  'query-pci'(): Of<typeof pciBuses>
  'query-cpus-fast'(): readonly CpuInfo[]
  'query-kvm'(): Of<typeof kvmInfo>
  'query-memory-size-summary'(): Of<typeof memorySize>
  'query-iothreads'(): Of<typeof ioThreads>
}
