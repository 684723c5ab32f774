import { type Static, Type } from 'typebox'
import { KeyReference, Name, Nullable, Time } from './names.ts'

/** What becomes of a VM whose KEK is found revoked, destroyed or gone at its key provider. */
export const OnRevocation = Type.Union([
  Type.Literal('keep-running'),
  Type.Literal('stop'),
  Type.Literal('stop-after-grace'),
])
export type OnRevocation = Static<typeof OnRevocation>

/** The longest age of a KEK, ten years, and the longest grace, a year. */
export const rotationDaysMax = 3_650
export const graceMinutesMax = 525_600

/** The rules of a storage policy; those below `encryption` are for policies that encrypt. */
const rules = {
  encryption: Type.Boolean({ description: 'Whether what the policy is applied to is encrypted' }),
  keyProvider: Nullable(Name, { description: 'Who makes the KEK; null: the default key provider' }),
  thin: Type.Boolean({ description: 'Raw disks become qcow2 when they are encrypted, in which zeros take no room' }),
  verify: Type.Boolean({ description: 'All that is written has to be read back; a request cannot do without' }),
  rotationDays: Nullable(Type.Integer({ minimum: 1, maximum: rotationDaysMax }), {
    description: 'Days after which a KEK is due for rotation; null: never',
  }),
  onRevocation: OnRevocation,
  graceMinutes: Nullable(Type.Integer({ minimum: 1, maximum: graceMinutesMax }), {
    description: 'How long a VM goes on under stop-after-grace; null: with the other two',
  }),
  hardened: Type.Boolean({
    description: 'Kept and shown, and without effect in this version: no VM counts as compliant with it',
  }),
}

/** A storage policy: what is to hold for VM Home or a disk that it is applied to. */
export const StoragePolicy = Type.Object({
  id: Type.String(),
  name: Name,
  description: Type.String(),
  /** Grows with each change of a rule; VMs are out of date until the policy is applied to them again. */
  version: Type.Integer({ minimum: 1 }),
  /** Always there; can be cloned, and neither changed nor removed. */
  system: Type.Boolean(),
  ...rules,
  /** How many VM Homes and disks have it. */
  usedBy: Type.Object({ homes: Type.Integer(), disks: Type.Integer() }),
  changedAt: Nullable(Time),
  changedBy: Nullable(Type.String()),
})
export type StoragePolicy = Static<typeof StoragePolicy>
export const StoragePolicyList = Type.Object({ policies: Type.Array(StoragePolicy) })

const Description = Type.String({ maxLength: 1024 })

/** What may be said of a policy that is made or changed; what is left out stays as it was. */
const settable = { description: Type.Optional(Description), ...Type.Partial(Type.Object(rules)).properties }

/** With `cloneOf`, what is left out is as in that policy; else it encrypts nothing unless `encryption` says so. */
export const CreateStoragePolicy = Type.Object(
  { name: Name, cloneOf: Type.Optional(Name), ...settable },
  { additionalProperties: false },
)
export type CreateStoragePolicy = Static<typeof CreateStoragePolicy>

/** VMs that have it are out of date until it is applied to them; nothing is encrypted, decrypted or rekeyed by this. */
export const ChangeStoragePolicy = Type.Object(settable, { additionalProperties: false })
export type ChangeStoragePolicy = Static<typeof ChangeStoragePolicy>

/** A layer that belongs to no VM any more, and lies on its datastore still. */
export const DetachedDisk = Type.Object({
  layer: Type.String(),
  datastore: Name,
  cluster: Name,
  /** Absolute, on the hosts. */
  path: Type.String(),
  format: Type.Union([Type.Literal('raw'), Type.Literal('qcow2')]),
  sizeBytes: Type.Integer(),
  encrypted: Type.Boolean(),
  key: Nullable(KeyReference),
  /** The VM that it was a disk of, which may be gone, and which number it had. */
  vm: Name,
  number: Type.Integer(),
  detachedAt: Time,
  detachedBy: Type.String(),
  /** The task that attaches or removes it just now. */
  task: Nullable(Type.String()),
})
export type DetachedDisk = Static<typeof DetachedDisk>
export const DetachedDiskList = Type.Object({ disks: Type.Array(DetachedDisk) })

/** The two that are always there. */
export const encryptionPolicy = 'VM Encryption Policy'
export const plainPolicy = 'Datastore Default'
