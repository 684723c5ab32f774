import { type Static, Type } from 'typebox'
import { KeyReference } from './keys.ts'

/** What names a VM, a disk, a layer or an operation. */
export const Id = Type.String({ minLength: 1, maxLength: 64, pattern: '^[0-9A-Za-z-]+$' })

/** The largest disk, and the largest image: 1 PiB. */
export const diskSizeMax = 2 ** 50

/** Counts from 0. */
export const DiskNumber = Type.Integer({ minimum: 0, maximum: 63 })

/** The name of a storage policy. */
export const PolicyName = Type.String({ maxLength: 80 })

/** Where the hosts of a cluster find a block device: an absolute path without `..`. */
export const DevicePath = Type.String({
  minLength: 6,
  maxLength: 1024,
  pattern: '^/dev/[0-9A-Za-z][0-9A-Za-z._:/+@-]*$',
})

const SizeBytes = Type.Integer({ minimum: 0, maximum: diskSizeMax })

export const PayloadFormat = Type.Union([Type.Literal('raw'), Type.Literal('qcow2')])
export type PayloadFormat = Static<typeof PayloadFormat>

/** What the control plane knows of the encryption of one layer or of VM Home: the authority, whatever lies on a datastore. */
export const EncryptionAuthority = Type.Object(
  {
    /** KEKs whose recipients the key record may have; one of them is needed to open it. */
    keys: Type.Array(KeyReference, { minItems: 1, maxItems: 2 }),
    /** The key record's generation; a lower one on the datastore is refused. */
    generation: Type.Integer({ minimum: 1 }),
    /** The LUKS UUID; `null` for VM Home. */
    luksUuid: Type.Union([Type.String({ maxLength: 40 }), Type.Null()]),
  },
  { additionalProperties: false },
)
export type EncryptionAuthority = Static<typeof EncryptionAuthority>

export const DiskAuthority = Type.Object(
  {
    diskId: Id,
    number: DiskNumber,
    layerId: Id,
    format: PayloadFormat,
    /** Bytes of the image file as it lies plain: the payload of the LUKS volume. */
    payloadBytes: SizeBytes,
    /** Bytes of the disk that the guest sees. */
    virtualBytes: SizeBytes,
    policy: PolicyName,
    /** `null`: a plain layer. */
    encryption: Type.Union([EncryptionAuthority, Type.Null()]),
    /** The block device that the layer lies on, from its first byte; left out: a file in the VM's folder. */
    device: Type.Optional(DevicePath),
  },
  { additionalProperties: false },
)
export type DiskAuthority = Static<typeof DiskAuthority>

/** A folder directly below a datastore. */
export const FolderName = Type.String({ minLength: 1, maxLength: 80, pattern: '^[0-9A-Za-z][0-9A-Za-z._-]*$' })

/** A VM as the control plane knows it; it goes with every call, and what lies on the datastore has to agree. */
export const VmAuthority = Type.Object(
  {
    /** The instance UUID. */
    vmId: Id,
    name: Type.String({ minLength: 1, maxLength: 80 }),
    /** Absolute path of the datastore on this host. */
    datastorePath: Type.String({ minLength: 1, maxLength: 1024 }),
    /** The VM's folder, directly below the datastore. */
    folder: FolderName,
    /** Generation of `vm.json`; 0 before the VM was made. */
    generation: Type.Integer({ minimum: 0 }),
    /** VM Home's. */
    policy: PolicyName,
    /** VM Home's; `null`: plain. */
    encryption: Type.Union([EncryptionAuthority, Type.Null()]),
    disks: Type.Array(DiskAuthority, { maxItems: 64 }),
  },
  { additionalProperties: false },
)
export type VmAuthority = Static<typeof VmAuthority>

/** VM Home's configuration details; they are sealed when VM Home is encrypted. */
export const VmDetails = Type.Object(
  {
    memoryMib: Type.Integer({ minimum: 16, maximum: 16_777_216 }),
    cpuCount: Type.Integer({ minimum: 1, maximum: 1024 }),
    firmware: Type.Union([Type.Literal('bios'), Type.Literal('uefi')]),
    notes: Type.String({ maxLength: 4096 }),
  },
  { additionalProperties: false },
)
export type VmDetails = Static<typeof VmDetails>

/** Whether a host can open a VM with the keys that it holds. `locked` says why, and which KEKs are missing. */
export const LockState = Type.Object(
  {
    state: Type.Union([Type.Literal('unlocked'), Type.Literal('locked')]),
    reason: Type.Union([
      Type.Null(),
      Type.Object(
        {
          code: Type.Union([
            Type.Literal('key-not-held'),
            Type.Literal('record-refused'),
            Type.Literal('file-missing'),
            Type.Literal('file-damaged'),
          ]),
          text: Type.String(),
          missingKeys: Type.Array(KeyReference),
        },
        { additionalProperties: false },
      ),
    ]),
  },
  { additionalProperties: false },
)
export type LockState = Static<typeof LockState>
