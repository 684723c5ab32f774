import { enumeration, type Of, structure, text } from '@cryptvisor/ttlv'
import { NameType } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.2: what a client calls an object. */
export const name = (tag: number) =>
  structure(tag, {
    nameValue: text(Tag.NameValue),
    nameType: enumeration(Tag.NameType, NameType),
  })
export type Name = Of<ReturnType<typeof name>>
