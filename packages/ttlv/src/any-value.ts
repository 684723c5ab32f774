import { bigInteger } from './big-integer.ts'
import { boolean } from './boolean.ts'
import { bytes } from './bytes.ts'
import { dateTime } from './date-time.ts'
import { dateTimeExtended } from './date-time-extended.ts'
import { openEnumeration } from './enumeration.ts'
import { integer } from './integer.ts'
import { interval } from './interval.ts'
import type { Item } from './item.ts'
import { ItemType } from './item-type.ts'
import { longInteger } from './long-integer.ts'
import type { Reader } from './reader.ts'
import { text } from './text.ts'
import { TtlvError } from './ttlv-error.ts'

/** A value that says its own type, as custom attributes have them. */
export type AnyValue =
  | { readonly type: 'Structure'; readonly value: readonly AnyField[] }
  | { readonly type: 'Integer'; readonly value: number }
  | { readonly type: 'LongInteger'; readonly value: bigint }
  | { readonly type: 'BigInteger'; readonly value: bigint }
  | { readonly type: 'Enumeration'; readonly value: number }
  | { readonly type: 'Boolean'; readonly value: boolean }
  | { readonly type: 'TextString'; readonly value: string }
  | { readonly type: 'ByteString'; readonly value: Uint8Array }
  | { readonly type: 'DateTime'; readonly value: Date }
  | { readonly type: 'DateTimeExtended'; readonly value: bigint }
  | { readonly type: 'Interval'; readonly value: number }

/** A field of a structure that says its own type. */
export type AnyField = AnyValue & { readonly tag: number }

type Scalars = { readonly [Type in Exclude<ItemType, 'Structure'>]: (tag: number) => Item<ValueOf<Type>> }
type ValueOf<Type extends ItemType> = Extract<AnyValue, { readonly type: Type }>['value']

const scalars: Scalars = {
  Integer: integer,
  LongInteger: longInteger,
  BigInteger: bigInteger,
  // A table without names leaves numbers only.
  Enumeration: (tag) => openEnumeration(tag, {}),
  Boolean: boolean,
  TextString: text,
  ByteString: bytes,
  DateTime: dateTime,
  DateTimeExtended: dateTimeExtended,
  Interval: interval,
}

/** An item of any type that is no secret: a custom attribute's value. */
export function anyValue(tag: number): Item<AnyValue> {
  return {
    tag,
    type: null,
    decode: (reader) => decodeAny(reader, tag),
    encode(value, sink) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(ItemType, value.type)) {
        throw new TtlvError('wrong-value', `must have a type, one of ${Object.keys(ItemType).join(', ')}, and a value`)
      }
      if (value.type === 'Structure') {
        sink.structure(tag, () => {
          for (const field of value.value) anyValue(field.tag).encode(field, sink)
        })
      } else {
        // The declaration for a type takes the values of that type, and refuses others.
        const item = scalars[value.type](tag) as Item<unknown>
        item.encode(value.value, sink)
      }
    },
  }
}

function decodeAny(reader: Reader, tag: number): AnyValue {
  const type = reader.nextType
  if (type === null) throw new TtlvError('wrong-type', 'has a type that does not exist')
  if (type === 'Structure') {
    return { type, value: reader.structure(tag, () => decodeAnyFields(reader)) }
  }
  // The declaration for a type decodes to the values of that type.
  return { type, value: scalars[type](tag).decode(reader) } as AnyValue
}

function decodeAnyFields(reader: Reader): AnyField[] {
  const fields: AnyField[] = []
  for (let tag = reader.nextTag; tag !== null; tag = reader.nextTag) {
    fields.push({ tag, ...decodeAny(reader, tag) })
  }
  return fields
}
