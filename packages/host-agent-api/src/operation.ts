import { type Static, Type } from 'typebox'
import { KeyReference } from './keys.ts'
import { DiskNumber, diskSizeMax, Id, PayloadFormat, PolicyName, VmAuthority, VmDetails } from './vm.ts'

const Encryption = Type.Union([KeyReference, Type.Null()], {
  description: 'The KEK to wrap the new DEK with; null: plain',
})

/** Makes a VM's folder, `vm.json` and VM Home, without disks; `vm.generation` is 0. */
export const CreateVm = Type.Object(
  { kind: Type.Literal('create-vm'), vm: VmAuthority, details: VmDetails, key: Encryption },
  { additionalProperties: false },
)

/** Adds an empty disk: raw reads as zeros, qcow2 is an empty image; encrypted under `key` unless that is null. */
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

/** Encrypts the chosen plain disks, and VM Home where `home` names a KEK; all or nothing. */
export const Encrypt = Type.Object(
  {
    kind: Type.Literal('encrypt'),
    vm: VmAuthority,
    home: Type.Union([
      Type.Object({ key: KeyReference, policy: PolicyName }, { additionalProperties: false }),
      Type.Null(),
    ]),
    disks: Type.Array(
      Type.Object({ diskId: Id, key: KeyReference, policy: PolicyName }, { additionalProperties: false }),
      { maxItems: 64 },
    ),
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
  },
  { additionalProperties: false },
)

/** Removes the VM's files; works on a locked VM too. */
export const DeleteVm = Type.Object(
  { kind: Type.Literal('delete-vm'), vm: VmAuthority },
  { additionalProperties: false },
)

/** What an agent is asked to do, as one journalled step that it does whole or not at all. */
export const OperationRequest = Type.Union([CreateVm, AddDisk, ImportDisk, Encrypt, Decrypt, DeleteVm])
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
