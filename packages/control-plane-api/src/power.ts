import { type Static, Type } from 'typebox'
import { Name, Nullable, Time } from './names.ts'

/**
 * `starting`, `stopping`: a task is at it. `failed`: QEMU stopped the guest by itself, since a disk gives errors. `unknown`: its host
 * is not connected, so it may run or not.
 */
export const PowerState = Type.Union([
  Type.Literal('off'),
  Type.Literal('starting'),
  Type.Literal('running'),
  Type.Literal('paused'),
  Type.Literal('stopping'),
  Type.Literal('failed'),
  Type.Literal('unknown'),
])
export type PowerState = Static<typeof PowerState>

/** How a VM runs, as its host said last. */
export const Power = Type.Object({
  state: PowerState,
  /** `null`: it was never started. */
  since: Nullable(Time),
  /** In words, where there is something to say. */
  reason: Nullable(Type.String()),
  /** `kvm`, or `tcg`, which is slow; `null`: it is off. */
  acceleration: Nullable(Type.Union([Type.Literal('kvm'), Type.Literal('tcg')])),
  /** QEMU's version; `null`: it is off. */
  qemu: Nullable(Type.String()),
})
export type Power = Static<typeof Power>

/**
 * `shut-down` asks the guest (ACPI) and does not wait for it; `power-off` is pulling the plug; `pause` holds the virtual processors
 * and keeps everything in the host's memory.
 */
export const PowerAction = Type.Union([
  Type.Literal('power-on'),
  Type.Literal('power-off'),
  Type.Literal('shut-down'),
  Type.Literal('reset'),
  Type.Literal('pause'),
  Type.Literal('resume'),
])
export type PowerAction = Static<typeof PowerAction>

export const ChangePower = Type.Object({ action: PowerAction }, { additionalProperties: false })
export type ChangePower = Static<typeof ChangePower>

/** Says that a VM is off whose host cannot say so any more; `confirm` is the VM's name, typed once more. */
export const DeclareOff = Type.Object({ confirm: Type.String({ maxLength: 200 }) }, { additionalProperties: false })
export type DeclareOff = Static<typeof DeclareOff>

/** Gives a VM that is off to another host of its cluster. */
export const MigrateVm = Type.Object({ host: Name }, { additionalProperties: false })
export type MigrateVm = Static<typeof MigrateVm>
