import { type Static, Type } from 'typebox'
import { KeyReference, Nullable, Time } from './names.ts'

/** The `typ` of the JSON Web Signature that a certificate of erasure is. */
export const erasureStatementType = 'cryptvisor-erasure+jws'

/** `confirm`: the VM's name, typed once more. */
export const EraseVm = Type.Object(
  { confirm: Type.String({ maxLength: 80 }), reason: Type.Optional(Type.String({ minLength: 1, maxLength: 1000 })) },
  { additionalProperties: false },
)
export type EraseVm = Static<typeof EraseVm>

/** What a certificate of erasure says: what was destroyed, by whom, who confirmed it, and what it cannot reach. */
export const ErasureCertificate = Type.Object({
  format: Type.Literal('cryptvisor/erasure-certificate/1'),
  id: Type.String(),
  issuedAt: Time,
  /** SHA-256 of the CA that this stands under. */
  controlPlane: Type.String(),
  vm: Type.Object({
    id: Type.String(),
    name: Type.String(),
    cluster: Type.String(),
    datastore: Type.String(),
    path: Type.String(),
    disks: Type.Array(
      Type.Object({
        number: Type.Integer(),
        layerId: Type.String(),
        luksUuid: Nullable(Type.String()),
        sizeBytes: Type.Integer(),
        device: Nullable(Type.String()),
        encrypted: Type.Boolean(),
      }),
    ),
  }),
  requestedBy: Type.String(),
  approvedBy: Type.String(),
  approval: Type.String(),
  reason: Nullable(Type.String()),
  task: Type.String(),
  begunAt: Time,
  /** Every KEK that ever wrapped a DEK of the VM. `answer`: the provider's word for its state; `null`: it knows no such key. */
  keys: Type.Array(
    Type.Object({
      ...KeyReference.properties,
      answer: Nullable(Type.String()),
      destroyedAt: Time,
      before: Type.Boolean({ description: 'It was destroyed before the erasure' }),
    }),
  ),
  hosts: Type.Array(
    Type.Object({
      name: Type.String(),
      outcome: Type.Union([Type.Literal('confirmed'), Type.Literal('absent')]),
      at: Time,
      text: Type.String(),
    }),
  ),
  filesRemovedAt: Time,
  /** What the erasure cannot reach, each in a sentence. */
  notReached: Type.Array(Type.String()),
})
export type ErasureCertificate = Static<typeof ErasureCertificate>

/** The erasure of a VM, and its certificate as a JSON Web Signature (ES256, flattened JSON serialization). */
export const Erasure = Type.Object({
  id: Type.String(),
  vm: Type.Object({ id: Type.String(), name: Type.String() }),
  task: Type.String(),
  createdAt: Time,
  statement: Type.String(),
  certificate: ErasureCertificate,
})
export type Erasure = Static<typeof Erasure>
export const ErasureList = Type.Object({ erasures: Type.Array(Type.Omit(Erasure, ['statement', 'certificate'])) })
