import { type Static, Type } from 'typebox'
import { Id, VmAuthority } from './vm.ts'

/**
 * What runs the guest's instructions: `kvm`, or `tcg`, QEMU's emulation; `auto`: KVM where a guest really boots with it, else
 * emulation.
 */
export const Acceleration = Type.Union([Type.Literal('auto'), Type.Literal('kvm'), Type.Literal('tcg')])
export type Acceleration = Static<typeof Acceleration>

/**
 * The number of a VM's lease: who has the VM to run it. The control plane raises it each time that it lets a host start the VM; an
 * agent that has met a higher one for a VM refuses a lower one (docs/decisions/0024-machines.md).
 */
export const LeaseNumber = Type.Integer({ minimum: 1 })

/** Starts a VM's QEMU; the same again, for a machine that runs under this lease, gives its status. */
export const PowerOn = Type.Object(
  { vm: VmAuthority, lease: LeaseNumber, acceleration: Acceleration },
  { additionalProperties: false },
)
export type PowerOn = Static<typeof PowerOn>

/**
 * `shut-down` asks the guest to (ACPI), and does not wait for it; `power-off` ends QEMU at once, with what the guest did not write
 * yet lost; `reset` as the button; `pause` and `resume` hold the virtual processors.
 */
export const PowerAction = Type.Union([
  Type.Literal('shut-down'),
  Type.Literal('power-off'),
  Type.Literal('reset'),
  Type.Literal('pause'),
  Type.Literal('resume'),
])
export type PowerAction = Static<typeof PowerAction>

export const ChangePower = Type.Object({ action: PowerAction, lease: LeaseNumber }, { additionalProperties: false })
export type ChangePower = Static<typeof ChangePower>

/**
 * A machine on a host. `starting`: QEMU is there, and is being given its disks; `off`: it ended, and `reason` says how. A VM that the
 * agent says nothing of has no QEMU on this host.
 */
export const MachineStatus = Type.Object(
  {
    vmId: Id,
    lease: LeaseNumber,
    state: Type.Union([
      Type.Literal('starting'),
      Type.Literal('running'),
      Type.Literal('paused'),
      Type.Literal('off'),
      /** QEMU stopped the guest by itself: a disk gives errors. */
      Type.Literal('failed'),
    ]),
    /**
     * Grows each time that anything of this changes, also across starts of the agent: of two under one lease the one with the higher
     * number is the newer one, in whatever order they arrive.
     */
    revision: Type.Integer({ minimum: 0 }),
    /**
     * How it came to be `off`; `null`: it is not. `asked`: by `power-off`; `guest`: the guest shut down, asked to or by itself;
     * `broken`: QEMU ended without either, killed or crashed.
     */
    ended: Type.Union([Type.Literal('asked'), Type.Literal('guest'), Type.Literal('broken'), Type.Null()]),
    /** Why it is `off` or `failed`, in words; `null` otherwise. */
    reason: Type.Union([Type.String({ maxLength: 1024 }), Type.Null()]),
    /** Milliseconds since 1970: when it came to this state. */
    since: Type.Integer({ minimum: 0 }),
    acceleration: Type.Union([Type.Literal('kvm'), Type.Literal('tcg')]),
    /** QEMU's own version. */
    qemu: Type.String({ maxLength: 64 }),
  },
  { additionalProperties: false },
)
export type MachineStatus = Static<typeof MachineStatus>

/** What an agent tells the control plane, with `POST /v1/machines`: all its machines, when a session begins and each time one changes. */
export const MachineReport = Type.Object(
  { bootId: Type.String({ maxLength: 64 }), machines: Type.Array(MachineStatus, { maxItems: 10_000 }) },
  { additionalProperties: false },
)
export type MachineReport = Static<typeof MachineReport>

export const MachineList = Type.Object({ machines: Type.Array(MachineStatus) }, { additionalProperties: false })
export type MachineList = Static<typeof MachineList>
