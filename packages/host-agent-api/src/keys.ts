import { type Static, Type } from 'typebox'

/** A KEK by name: the provider that keeps it and its key ID there. Never its bytes. */
export const KeyReference = Type.Object(
  {
    provider: Type.String({ minLength: 1, maxLength: 80, description: 'Provider ID' }),
    keyId: Type.String({ minLength: 1, maxLength: 256, description: 'Unique identifier at the provider' }),
  },
  { additionalProperties: false },
)
export type KeyReference = Static<typeof KeyReference>

/** A KEK has 32 bytes (AES-256); it travels as `application/octet-stream`, its name in the path. */
export const kekSizeBytes = 32

/** Whether the bytes that were sent are those of the KEK that is held under that name. */
export const ComparedKey = Type.Object(
  { result: Type.Union([Type.Literal('same'), Type.Literal('other'), Type.Literal('not-held')]) },
  { additionalProperties: false },
)
export type ComparedKey = Static<typeof ComparedKey>

export const HeldKeys = Type.Object({ keys: Type.Array(KeyReference) }, { additionalProperties: false })
export type HeldKeys = Static<typeof HeldKeys>
