import { type Static, Type } from 'typebox'
import { KeyReference, Name, Nullable } from './names.ts'

export const DiskFormat = Type.Union([Type.Literal('raw'), Type.Literal('qcow2')])
export type DiskFormat = Static<typeof DiskFormat>

export const Disk = Type.Object({
  id: Type.String(),
  /** Counts from 0; never used again for another disk of the VM while this one is there. */
  number: Type.Integer({ minimum: 0 }),
  format: DiskFormat,
  /** What the guest sees, in bytes. */
  sizeBytes: Type.Integer(),
  /** The image's own bytes: the file's when plain, the LUKS payload's when encrypted. */
  payloadBytes: Type.Integer(),
  policy: Name,
  encrypted: Type.Boolean(),
  key: Nullable(KeyReference),
  layerId: Type.String(),
  luksUuid: Nullable(Type.String()),
  /** Absolute, on the hosts. */
  path: Type.String(),
})
export type Disk = Static<typeof Disk>
export const DiskList = Type.Object({ disks: Type.Array(Disk) })

export const Vm = Type.Object({
  /** The instance UUID. */
  id: Type.String(),
  name: Name,
  host: Name,
  cluster: Name,
  datastore: Name,
  /** Absolute, on the hosts. */
  path: Type.String(),
  /** `encrypted`: VM Home and every disk; `partial`: VM Home and not every disk. */
  encryption: Type.Union([Type.Literal('plain'), Type.Literal('partial'), Type.Literal('encrypted')]),
  home: Type.Object({ policy: Name, encrypted: Type.Boolean(), key: Nullable(KeyReference) }),
  disks: Type.Array(Disk),
  /**
   * `unlocked`: the host holds the keys and they open the VM (always so for a plain VM on a connected host);
   * `locked`: it does not, and `text` says why; `unknown`: the host is not connected.
   */
  lock: Type.Object({
    state: Type.Union([Type.Literal('unlocked'), Type.Literal('locked'), Type.Literal('unknown')]),
    text: Nullable(Type.String()),
    missingKeys: Type.Array(KeyReference),
  }),
  /** The task that works on it now. */
  task: Nullable(Type.String()),
})
export type Vm = Static<typeof Vm>
export const VmList = Type.Object({ vms: Type.Array(Vm) })

/** With an encryption policy the VM is made encrypted. Host and datastore are chosen when they are left out. */
export const CreateVm = Type.Object(
  {
    name: Name,
    cluster: Type.Optional(Name),
    host: Type.Optional(Name),
    datastore: Type.Optional(Name),
    policy: Type.Optional(Name),
    memoryMib: Type.Optional(Type.Integer({ minimum: 16, maximum: 16_777_216 })),
    cpuCount: Type.Optional(Type.Integer({ minimum: 1, maximum: 1024 })),
    firmware: Type.Optional(Type.Union([Type.Literal('bios'), Type.Literal('uefi')])),
    notes: Type.Optional(Type.String({ maxLength: 4096 })),
    disks: Type.Optional(
      Type.Array(
        Type.Object(
          { sizeBytes: Type.Integer({ minimum: 512, maximum: 2 ** 50 }), format: Type.Optional(DiskFormat) },
          { additionalProperties: false },
        ),
        { maxItems: 64 },
      ),
    ),
    keyProvider: Type.Optional(Name),
  },
  { additionalProperties: false },
)
export type CreateVm = Static<typeof CreateVm>

/** An empty disk. On an encrypted VM the policy may be either; on a plain VM only a plain one. */
export const AddDisk = Type.Object(
  {
    sizeBytes: Type.Integer({ minimum: 512, maximum: 2 ** 50 }),
    format: Type.Optional(DiskFormat),
    policy: Type.Optional(Name),
  },
  { additionalProperties: false },
)
export type AddDisk = Static<typeof AddDisk>

/** Announces a plain image of `contentBytes`; send it to `PUT /api/v1/tasks/{task}/content`. */
export const ImportDisk = Type.Object(
  { format: DiskFormat, contentBytes: Type.Integer({ minimum: 1, maximum: 2 ** 50 }) },
  { additionalProperties: false },
)
export type ImportDisk = Static<typeof ImportDisk>

/**
 * Changes storage policies, which encrypts and decrypts. `policy` means the whole VM, all disks and VM Home; or `home`
 * and `disks` name parts. What is as it should be already is left alone.
 */
export const ChangePolicy = Type.Object(
  {
    policy: Type.Optional(Name),
    home: Type.Optional(Name),
    disks: Type.Optional(
      Type.Array(
        Type.Object(
          { number: Type.Integer({ minimum: 0, maximum: 63 }), policy: Name },
          { additionalProperties: false },
        ),
        { maxItems: 64 },
      ),
    ),
    /** Asks this provider for the KEK instead of the default one. */
    keyProvider: Type.Optional(Name),
  },
  { additionalProperties: false },
)
export type ChangePolicy = Static<typeof ChangePolicy>
