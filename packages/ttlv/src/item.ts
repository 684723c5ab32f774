import type { ItemType } from './item-type.ts'
import type { Reader } from './reader.ts'
import type { Sink } from './sink.ts'
import type { Fields } from './structure.ts'

/**
 * The declaration of one item: its type in TypeScript, its encoder, its decoder and its dump in one. Both methods throw
 * a TtlvError for what does not fit.
 */
export interface Item<Value> {
  readonly tag: number
  /** `null` where several are possible. */
  readonly type: ItemType | null
  /** Those of a structure that declares them. */
  readonly fields?: Fields
  decode(reader: Reader): Value
  encode(value: Value, sink: Sink): void
}

/** The type of the values of a declaration. */
export type Of<Declaration> = Declaration extends Item<infer Value> ? Value : never
