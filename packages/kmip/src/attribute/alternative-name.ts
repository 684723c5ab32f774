import { type Of, openEnumeration, structure, text } from '@cryptvisor/ttlv'
import { AlternativeNameType } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.40: what something else calls the object, a bar code for instance. */
export const alternativeName = (tag: number) =>
  structure(tag, {
    alternativeNameValue: text(Tag.AlternativeNameValue),
    alternativeNameType: openEnumeration(Tag.AlternativeNameType, AlternativeNameType),
  })
export type AlternativeName = Of<ReturnType<typeof alternativeName>>
