import { type Static, Type } from 'typebox'
import { KeyReference } from './keys.ts'
import {
  DevicePath,
  DiskAuthority,
  DiskNumber,
  diskSizeMax,
  EncryptionAuthority,
  FolderName,
  Id,
  PayloadFormat,
  PolicyName,
  VmAuthority,
  VmDetails,
} from './vm.ts'

const Encryption = Type.Union([KeyReference, Type.Null()], {
  description: 'The KEK to wrap the new DEK with; null: plain',
})

/** How an operation moves data. What is left out is as it is best for most: verified, and as fast as the machine. */
const pace = {
  /** Reads all that was written back and compares it before the commit; `true` when left out. */
  verify: Type.Optional(Type.Boolean()),
  bytesPerSecondMax: Type.Optional(Type.Integer({ minimum: 65_536, maximum: 2 ** 50 })),
}

/** Keeps zero areas from taking room: a raw image becomes qcow2 inside LUKS. A qcow2 stays as it is. */
const Thin = Type.Optional(Type.Boolean())

/** Makes a VM's folder, `vm.json` and VM Home, without disks; `vm.generation` is 0. */
export const CreateVm = Type.Object(
  { kind: Type.Literal('create-vm'), vm: VmAuthority, details: VmDetails, key: Encryption },
  { additionalProperties: false },
)

/**
 * Adds an empty disk: raw reads as zeros, qcow2 is an empty image; encrypted under `key` unless that is null. With `device`
 * it is the beginning of that block device instead, plain, with what lies on it: the agent changes nothing there.
 */
export const AddDisk = Type.Object(
  {
    kind: Type.Literal('add-disk'),
    vm: VmAuthority,
    diskId: Id,
    number: DiskNumber,
    format: PayloadFormat,
    virtualBytes: Type.Integer({ minimum: 512, maximum: diskSizeMax }),
    policy: PolicyName,
    key: Encryption,
    device: Type.Optional(DevicePath),
  },
  { additionalProperties: false },
)

/** Adds a plain disk whose `payloadBytes` come by `PUT /v1/operations/{id}/content`; it waits for them. */
export const ImportDisk = Type.Object(
  {
    kind: Type.Literal('import-disk'),
    vm: VmAuthority,
    diskId: Id,
    number: DiskNumber,
    format: PayloadFormat,
    payloadBytes: Type.Integer({ minimum: 1, maximum: diskSizeMax }),
    policy: PolicyName,
  },
  { additionalProperties: false },
)

/**
 * Adds a disk out of a LUKS1 or LUKS2 volume of somebody else's: `contentBytes` of it come by `PUT …/content`, its passphrase
 * before them by `PUT …/passphrase`. `import`: its payload is encrypted anew under `key` (`null`: laid down plain).
 * `adopt`: the LUKS1 volume stays as it is, with our key slot in place of the others; `key` must be given, and old copies of
 * the volume still open with the old passphrase until a deep rekey.
 */
export const ImportVolume = Type.Object(
  {
    kind: Type.Literal('import-volume'),
    vm: VmAuthority,
    diskId: Id,
    number: DiskNumber,
    mode: Type.Union([Type.Literal('import'), Type.Literal('adopt')]),
    /** What the volume's payload is. */
    format: PayloadFormat,
    contentBytes: Type.Integer({ minimum: 1, maximum: diskSizeMax }),
    policy: PolicyName,
    key: Encryption,
    thin: Thin,
    ...pace,
  },
  { additionalProperties: false },
)

/**
 * Encrypts the chosen plain disks, and VM Home where `home` names a KEK; all or nothing. A disk on a block device is
 * encrypted in place: the device must hold 2 MiB more than the disk, and such a disk is the only one of its operation.
 */
export const Encrypt = Type.Object(
  {
    kind: Type.Literal('encrypt'),
    vm: VmAuthority,
    home: Type.Union([
      Type.Object({ key: KeyReference, policy: PolicyName }, { additionalProperties: false }),
      Type.Null(),
    ]),
    disks: Type.Array(
      Type.Object({ diskId: Id, key: KeyReference, policy: PolicyName, thin: Thin }, { additionalProperties: false }),
      { maxItems: 64 },
    ),
    ...pace,
  },
  { additionalProperties: false },
)

/** Decrypts the chosen disks, and VM Home where `home` is given and no disk stays encrypted; all or nothing. */
export const Decrypt = Type.Object(
  {
    kind: Type.Literal('decrypt'),
    vm: VmAuthority,
    home: Type.Union([Type.Object({ policy: PolicyName }, { additionalProperties: false }), Type.Null()]),
    disks: Type.Array(Type.Object({ diskId: Id, policy: PolicyName }, { additionalProperties: false }), {
      maxItems: 64,
    }),
    ...pace,
  },
  { additionalProperties: false },
)

const Rekeyed = Type.Array(Type.Object({ diskId: Id, key: KeyReference }, { additionalProperties: false }), {
  maxItems: 64,
})

/** Wraps the DEKs of the chosen disks, and VM Home's where `home` names a KEK, with other KEKs. No data moves, no DEK changes. */
export const ShallowRekey = Type.Object(
  {
    kind: Type.Literal('shallow-rekey'),
    vm: VmAuthority,
    home: Type.Union([Type.Object({ key: KeyReference }, { additionalProperties: false }), Type.Null()]),
    disks: Rekeyed,
  },
  { additionalProperties: false },
)

/** Encrypts the chosen encrypted disks, and VM Home where `home` names a KEK, anew: new DEK, volume key and KEK, in one pass. */
export const DeepRekey = Type.Object(
  {
    kind: Type.Literal('deep-rekey'),
    vm: VmAuthority,
    home: Type.Union([Type.Object({ key: KeyReference }, { additionalProperties: false }), Type.Null()]),
    disks: Rekeyed,
    ...pace,
  },
  { additionalProperties: false },
)

/**
 * Makes `vm` (generation 0, without disks) a full copy of `source`, which stays as it is. A disk whose `key` is null is copied
 * plain, as a plain one only; `dek: 'same'` copies ciphertext as it lies and wraps its DEK under `key`; `dek: 'new'` encrypts it
 * anew, also a plain one. `home.key`: null for a plain VM Home.
 */
export const CloneVm = Type.Object(
  {
    kind: Type.Literal('clone-vm'),
    vm: VmAuthority,
    source: VmAuthority,
    home: Type.Object({ key: Encryption }, { additionalProperties: false }),
    disks: Type.Array(
      Type.Object(
        {
          sourceDiskId: Id,
          diskId: Id,
          key: Encryption,
          dek: Type.Union([Type.Literal('same'), Type.Literal('new')]),
        },
        { additionalProperties: false },
      ),
      { maxItems: 64 },
    ),
    ...pace,
  },
  { additionalProperties: false },
)

/** Gives VM Home, or disks, other policies by name; nothing of what is encrypted or plain changes. */
export const ChangePolicies = Type.Object(
  {
    kind: Type.Literal('change-policies'),
    vm: VmAuthority,
    home: Type.Union([Type.Object({ policy: PolicyName }, { additionalProperties: false }), Type.Null()]),
    disks: Type.Array(Type.Object({ diskId: Id, policy: PolicyName }, { additionalProperties: false }), {
      maxItems: 64,
    }),
  },
  { additionalProperties: false },
)

/**
 * Takes a disk from the VM, which takes no key: of a locked VM too. Its layer stays in the VM's folder; with `remove` it goes after
 * the commit. A block device is left alone in any case.
 */
export const DetachDisk = Type.Object(
  { kind: Type.Literal('detach-disk'), vm: VmAuthority, diskId: Id, remove: Type.Boolean() },
  { additionalProperties: false },
)

/**
 * Makes a layer that belongs to no VM a disk of this one, as `disk` says that it is; an encrypted one has to open. It lies in the
 * VM's folder, or in `folder` of the same datastore: then it is moved, by a second name before the commit and without the first one
 * after it.
 */
export const AttachDisk = Type.Object(
  {
    kind: Type.Literal('attach-disk'),
    vm: VmAuthority,
    disk: DiskAuthority,
    folder: Type.Union([FolderName, Type.Null()]),
  },
  { additionalProperties: false },
)

/** A backup has a sector that says what it is, and then at most 16 MiB: no header that is read is longer. */
const headerBackupSizeMax = 512 + 16 * 1_048_576

/**
 * Writes an encrypted disk's LUKS header back, damaged or not, out of a backup whose `contentBytes` come by `PUT …/content`. Only a
 * backup of this very layer, with a key record as the control plane knows it, is taken; no data moves.
 */
export const RestoreHeader = Type.Object(
  {
    kind: Type.Literal('restore-header'),
    vm: VmAuthority,
    diskId: Id,
    contentBytes: Type.Integer({ minimum: 1, maximum: headerBackupSizeMax }),
  },
  { additionalProperties: false },
)

/** Removes the VM's files; works on a locked VM too. */
export const DeleteVm = Type.Object(
  { kind: Type.Literal('delete-vm'), vm: VmAuthority },
  { additionalProperties: false },
)

/** What an agent is asked to do, as one journalled step that it does whole or not at all. */
export const OperationRequest = Type.Union([
  CreateVm,
  AddDisk,
  ImportDisk,
  ImportVolume,
  Encrypt,
  Decrypt,
  ShallowRekey,
  DeepRekey,
  CloneVm,
  RestoreHeader,
  ChangePolicies,
  DetachDisk,
  AttachDisk,
  DeleteVm,
])
export type OperationRequest = Static<typeof OperationRequest>

export const OperationErrorCode = Type.Union([
  Type.Literal('cancelled'),
  Type.Literal('interrupted'),
  Type.Literal('key-not-held'),
  Type.Literal('crypto-unsupported'),
  Type.Literal('refused'),
  Type.Literal('vm-busy'),
  Type.Literal('datastore-mismatch'),
  Type.Literal('no-space'),
  Type.Literal('bad-image'),
  Type.Literal('verification-failed'),
  Type.Literal('io'),
  Type.Literal('internal'),
])
export type OperationErrorCode = Static<typeof OperationErrorCode>

export const OperationStatus = Type.Object(
  {
    operationId: Id,
    /**
     * `done`: committed, and what was to be removed is gone; `vm` is the new authority. `failed`: all is as it was.
     * `unknown`: this agent has no memory of it and the datastore shows no trace: nothing was done.
     */
    state: Type.Union([
      Type.Literal('waiting-for-content'),
      Type.Literal('running'),
      Type.Literal('done'),
      Type.Literal('failed'),
      Type.Literal('unknown'),
    ]),
    step: Type.String({ description: 'In words, such as «encrypting disk 0»' }),
    doneBytes: Type.Integer({ minimum: 0 }),
    totalBytes: Type.Integer({ minimum: 0 }),
    /** Of the last seconds; `null` while nothing moves. */
    bytesPerSecond: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    /** At that rate, for what is left; `null` while that is not known. */
    secondsLeft: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    paused: Type.Boolean(),
    /** The VM as it is from now on, when done; `null` for a deleted VM and in all other states. */
    vm: Type.Union([VmAuthority, Type.Null()]),
    error: Type.Union([
      Type.Object({ code: OperationErrorCode, message: Type.String() }, { additionalProperties: false }),
      Type.Null(),
    ]),
  },
  { additionalProperties: false },
)
export type OperationStatus = Static<typeof OperationStatus>

/** How fast a running operation may move data from now on; `null`: as fast as the machine. */
export const Speed = Type.Object(
  { bytesPerSecondMax: Type.Union([Type.Integer({ minimum: 65_536, maximum: 2 ** 50 }), Type.Null()]) },
  { additionalProperties: false },
)
export type Speed = Static<typeof Speed>

/** What is read of a disk as a plain stream: its image in that format, whatever it is kept in. */
export const ExportDisk = Type.Object(
  { vm: VmAuthority, diskId: Id, format: PayloadFormat },
  { additionalProperties: false },
)
export type ExportDisk = Static<typeof ExportDisk>

/** Which layer's files are removed; it belongs to no VM. */
export const RemoveLayer = Type.Object(
  {
    datastorePath: Type.String({ minLength: 1, maxLength: 1024 }),
    folder: FolderName,
    layerId: Id,
    format: PayloadFormat,
    encryption: Type.Union([EncryptionAuthority, Type.Null()]),
  },
  { additionalProperties: false },
)
export type RemoveLayer = Static<typeof RemoveLayer>

/** Which disk's LUKS header, with its key record, is backed up. */
export const BackupHeader = Type.Object({ vm: VmAuthority, diskId: Id }, { additionalProperties: false })
export type BackupHeader = Static<typeof BackupHeader>

/** One VM's files as they lie on the datastore, for showing; nothing here is trusted. */
export const VmFiles = Type.Object(
  {
    files: Type.Array(
      Type.Object(
        { path: Type.String(), sizeBytes: Type.Integer(), allocatedBytes: Type.Integer() },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
)
export type VmFiles = Static<typeof VmFiles>
