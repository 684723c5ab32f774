import { type Static, Type } from 'typebox'
import { KeyReference, Nullable } from './names.ts'

/** What a support bundle would have, and how much of it at most. */
export const SupportBundlePlan = Type.Object({
  /** What it can be sealed to; null: there is no host key. */
  hostKey: Nullable(KeyReference),
  files: Type.Array(Type.Object({ name: Type.String(), about: Type.String() })),
  fileSizeMax: Type.Integer({ description: 'Of one file: what is beyond is cut, and the manifest says so' }),
  sizeMax: Type.Integer({ description: 'Of all files together, before they are compressed' }),
})
export type SupportBundlePlan = Static<typeof SupportBundlePlan>

const ClientSealing = [Type.Literal('password'), Type.Literal('recipient'), Type.Literal('none')] as const

const sealedByClient =
  'the bundle comes plain, a gzipped tar, and the client says what it seals it to before it is written'

/** Takes a support bundle of a host. */
export const TakeHostBundle = Type.Object(
  {
    sealing: Type.Union([Type.Literal('host-key'), ...ClientSealing], {
      description: `host-key: sealed by the host as it is made. Else ${sealedByClient}`,
    }),
  },
  { additionalProperties: false },
)
export type TakeHostBundle = Static<typeof TakeHostBundle>

/** Takes a support bundle of the control plane. */
export const TakeSystemBundle = Type.Object(
  { sealing: Type.Union([...ClientSealing], { description: sealedByClient }) },
  { additionalProperties: false },
)
export type TakeSystemBundle = Static<typeof TakeSystemBundle>

/** Asks for the key of one sealed bundle. */
export const OpenHostBundle = Type.Object(
  {
    header: Type.String({ minLength: 2, maxLength: 4096, description: 'The first line of the file, without its end' }),
  },
  { additionalProperties: false },
)
export type OpenHostBundle = Static<typeof OpenHostBundle>
