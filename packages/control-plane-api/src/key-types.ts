import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

/** vSphere 9: a wrapping key is taken for 30 to 3650 days. */
export const wrappingDaysMin = 30
export const wrappingDaysMax = 3650

/**
 * `raw`: each VM has a KEK of its own at the provider. `wrapped`: one key of the provider, the wrapping key, is the KEK of
 * many VMs, so that few keys lie there.
 */
export const SetKeyType = Type.Object(
  {
    keyType: Type.Union([Type.Literal('raw'), Type.Literal('wrapped')]),
    rotationDays: Type.Optional(
      Type.Integer({
        minimum: wrappingDaysMin,
        maximum: wrappingDaysMax,
        description: 'With `wrapped`: after so many days another wrapping key is made; 365 where nothing is said',
      }),
    ),
    wrappingKey: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: 'With `wrapped`: the ID of a key at the provider that is taken for good, instead of one made here',
      }),
    ),
  },
  { additionalProperties: false },
)
export type SetKeyType = Static<typeof SetKeyType>

/** The wrapping key of a provider with the key type `wrapped`. */
export const WrappingKey = Type.Object({
  /** `null`: none was made yet. */
  keyId: Nullable(Type.String()),
  since: Nullable(Time),
  /** `null`: it was chosen, and is taken for good. */
  rotationDays: Nullable(Type.Number()),
  /** When another one is made. */
  nextRotationAt: Nullable(Time),
})
export type WrappingKey = Static<typeof WrappingKey>
