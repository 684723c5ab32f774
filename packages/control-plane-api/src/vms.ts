import { type Static, Type } from 'typebox'
import { FolderPath } from './folders.ts'
import { KeyReference, Name, Nullable, Time } from './names.ts'
import { Power } from './power.ts'

export const DiskFormat = Type.Union([Type.Literal('raw'), Type.Literal('qcow2')])
export type DiskFormat = Static<typeof DiskFormat>

/** How an operation moves data. What is left out is as it is best for most. */
const pace = {
  verify: Type.Optional(
    Type.Boolean({ description: 'Read back and compare all that was written before it counts; true when left out' }),
  ),
  bytesPerSecondMax: Type.Optional(Type.Integer({ minimum: 65_536, maximum: 2 ** 50 })),
}

const DiskNumber = Type.Integer({ minimum: 0, maximum: 63 })

const DevicePath = Type.String({
  minLength: 6,
  maxLength: 1024,
  pattern: '^/dev/[0-9A-Za-z][0-9A-Za-z._:/+@-]*$',
  description: 'A block device, as every host of the cluster finds it',
})

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
  /** The block device that it lies on; `null`: a file in the VM's folder. */
  device: Nullable(Type.String()),
})
export type Disk = Static<typeof Disk>
export const DiskList = Type.Object({ disks: Type.Array(Disk) })

/**
 * Why a VM is locked. `key-missing-on-host`: its host does not hold a key, and nothing else is known; `key-missing-in-kms`: the key
 * server does not have it; `kms-unreachable`, `kms-refused`: it could not be asked, or says no; `key-revoked`: its policy has it
 * stopped; `host-incapable`: its host takes no keys; `header-damaged`: a key record or a LUKS header is damaged or another one;
 * `files-missing`; `host-away`: its host is not connected, so that nothing is known.
 */
export const LockCause = Type.Union([
  Type.Literal('key-missing-on-host'),
  Type.Literal('key-missing-in-kms'),
  Type.Literal('kms-unreachable'),
  Type.Literal('kms-refused'),
  Type.Literal('key-revoked'),
  Type.Literal('host-incapable'),
  Type.Literal('header-damaged'),
  Type.Literal('files-missing'),
  Type.Literal('host-away'),
  Type.Literal('unclear'),
])
export type LockCause = Static<typeof LockCause>

/** Unlocks all VMs that are locked, or those of a host. */
export const UnlockVms = Type.Object({ host: Type.Optional(Name) }, { additionalProperties: false })
export type UnlockVms = Static<typeof UnlockVms>

export const Vm = Type.Object({
  /** The instance UUID. */
  id: Type.String(),
  name: Name,
  /** Of the inventory, such as `/Sales/Berlin`. */
  folder: Type.String(),
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
    /** What kind of trouble it is; `null`: it is not locked. */
    cause: Nullable(LockCause),
    /** Since when it is not known to be open. */
    since: Nullable(Time),
  }),
  power: Power,
  /** With its storage policies, as it was looked at last; `null`: it was not yet. */
  compliance: Nullable(
    Type.Object({
      state: Type.Union([Type.Literal('compliant'), Type.Literal('non-compliant'), Type.Literal('unknown')]),
      reasons: Type.Array(Type.String()),
    }),
  ),
  /** The task that works on it now. */
  task: Nullable(Type.String()),
})
export type Vm = Static<typeof Vm>
export const VmList = Type.Object({ vms: Type.Array(Vm) })

/** With an encryption policy the VM is made encrypted. Host and datastore are chosen when they are left out. */
export const CreateVm = Type.Object(
  {
    name: Name,
    /** Of the inventory; the root when left out. */
    folder: Type.Optional(FolderPath),
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

/**
 * An empty disk. On an encrypted VM the policy may be either; on a plain VM only a plain one. With `device`, a plain disk
 * that is the first `sizeBytes` of a block device, with what lies there.
 */
export const AddDisk = Type.Object(
  {
    sizeBytes: Type.Integer({ minimum: 512, maximum: 2 ** 50 }),
    format: Type.Optional(DiskFormat),
    policy: Type.Optional(Name),
    device: Type.Optional(DevicePath),
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
 * Announces a LUKS volume of somebody else's, of `contentBytes`; send its passphrase to `PUT
 * /api/v1/tasks/{task}/passphrase`, then the volume to `PUT /api/v1/tasks/{task}/content`. `import` (when left out): what
 * is in it is encrypted anew, or laid down plain, as the policy says. `adopt`: the volume stays as it is, with our key
 * slot in place of the others; old copies of it still open with the old passphrase until a deep rekey.
 */
export const ImportVolume = Type.Object(
  {
    mode: Type.Optional(Type.Union([Type.Literal('import'), Type.Literal('adopt')])),
    /** Of what is in the volume. */
    format: DiskFormat,
    contentBytes: Type.Integer({ minimum: 1, maximum: 2 ** 50 }),
    policy: Type.Optional(Name),
    thin: Type.Optional(Type.Boolean()),
    ...pace,
  },
  { additionalProperties: false },
)
export type ImportVolume = Static<typeof ImportVolume>

/** The largest passphrase of a LUKS volume that is taken. */
export const passphraseSizeMax = 8_192

/** What is read of a disk: its image, plain, in that format, whatever it is kept in. */
export const ExportDisk = Type.Object({ format: DiskFormat }, { additionalProperties: false })
export type ExportDisk = Static<typeof ExportDisk>

/** What a backup of a header has at most: a sector that says what it is, and the largest header that is read. */
export const headerBackupSizeMax = 512 + 16 * 1_048_576

/**
 * Announces a backup of `contentBytes` that the header of an encrypted disk is written back from; send it to `PUT
 * /api/v1/tasks/{task}/content`.
 */
export const RestoreHeader = Type.Object(
  { contentBytes: Type.Integer({ minimum: 1, maximum: headerBackupSizeMax }) },
  { additionalProperties: false },
)
export type RestoreHeader = Static<typeof RestoreHeader>

/**
 * Gives the VM, or the parts that are named, another KEK. `shallow`: the keys of the data are wrapped anew and no data
 * moves. `deep`: the data is encrypted anew under new keys. A shallow rekey is no answer to a KEK that was stolen together
 * with an old copy of a disk's header: that opens the data still; a deep one is.
 */
export const RekeyVm = Type.Object(
  {
    depth: Type.Union([Type.Literal('shallow'), Type.Literal('deep')]),
    home: Type.Optional(Type.Boolean()),
    disks: Type.Optional(Type.Array(DiskNumber, { maxItems: 64 })),
    /** Who makes the KEK, where it is not the provider that keeps the present one. */
    keyProvider: Type.Optional(Name),
    ...pace,
  },
  { additionalProperties: false },
)
export type RekeyVm = Static<typeof RekeyVm>

/**
 * A full copy under another name, in the same cluster. What is encrypted stays so: under a new KEK and with new keys of
 * the data (`new`, when left out), or with those of the VM that is copied (`same`).
 */
export const CloneVm = Type.Object(
  {
    name: Name,
    /** Of the inventory; that of the VM that is copied when left out. */
    folder: Type.Optional(FolderPath),
    host: Type.Optional(Name),
    datastore: Type.Optional(Name),
    keys: Type.Optional(Type.Union([Type.Literal('same'), Type.Literal('new')])),
    keyProvider: Type.Optional(Name),
    ...pace,
  },
  { additionalProperties: false },
)
export type CloneVm = Static<typeof CloneVm>

/**
 * Changes storage policies, which encrypts and decrypts. `policy` means the whole VM, all disks and VM Home; or `home`
 * and `disks` name parts. What is as it should be already is left alone.
 */
export const ChangePolicy = Type.Object(
  {
    policy: Type.Optional(Name),
    home: Type.Optional(Name),
    disks: Type.Optional(
      Type.Array(Type.Object({ number: DiskNumber, policy: Name }, { additionalProperties: false }), { maxItems: 64 }),
    ),
    /** Asks this provider for the KEK instead of the default one. */
    keyProvider: Type.Optional(Name),
    /** Whether raw disks that are encrypted become qcow2, in which zeros take no room; as the policy says when left out. */
    thin: Type.Optional(Type.Boolean()),
    ...pace,
  },
  { additionalProperties: false },
)
export type ChangePolicy = Static<typeof ChangePolicy>

/** Makes a layer that was detached a disk of the VM, on the same datastore. */
export const AttachDisk = Type.Object(
  {
    /** Its ID, as the list of detached disks says. */
    layer: Type.String({ minLength: 1, maxLength: 64 }),
    /** When left out: that of VM Home for an encrypted layer, «Datastore Default» for a plain one. */
    policy: Type.Optional(Name),
  },
  { additionalProperties: false },
)
export type AttachDisk = Static<typeof AttachDisk>

/** Takes a disk from the VM. Its layer stays on the datastore and can be attached again; with `remove` its data goes. */
export const DetachDisk = Type.Object({ remove: Type.Optional(Type.Boolean()) }, { additionalProperties: false })
export type DetachDisk = Static<typeof DetachDisk>
