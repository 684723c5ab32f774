import { type TSchema, type TSchemaOptions, Type } from 'typebox'

/**
 * What cannot stand in one line, ends it, steers a terminal (C0 and C1, ISO 6429), turns or hides what follows (Unicode,
 * bidirectional controls and invisible operators), or is half a character.
 */
const unprintable = String.raw`\u0000-\u001f\u007f-\u009f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff`
const inside = String.raw`[^/\\${unprintable}]`
const atEnds = String.raw`[^\s/\\${unprintable}]`

/** What people call a VM, a host, a cluster …: one line without slashes, not beginning or ending with a blank. */
export const Name = Type.String({
  minLength: 1,
  maxLength: 80,
  pattern: `^${atEnds}(${inside}*${atEnds})?$`,
  description: '1 to 80 characters in one line, without slashes',
})

/** A name or an ID, as a path parameter. */
export const NameOrId = Type.String({ minLength: 1, maxLength: 80 })

/** RFC 3339, UTC, milliseconds. */
export const Time = Type.String({ description: 'RFC 3339, UTC' })

export const Nullable = <Schema extends TSchema>(schema: Schema, options: TSchemaOptions = {}) =>
  Type.Union([schema, Type.Null()], options)

/** A KEK by name; never its bytes. */
export const KeyReference = Type.Object(
  {
    provider: Type.String({ minLength: 1, maxLength: 80 }),
    keyId: Type.String({ minLength: 1, maxLength: 256 }),
  },
  { additionalProperties: false },
)
