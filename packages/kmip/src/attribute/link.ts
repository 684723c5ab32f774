import { type Of, openEnumeration, structure, text } from '@cryptvisor/ttlv'
import { LinkType } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.35: another object that this one has to do with. */
export const link = (tag: number) =>
  structure(tag, {
    linkType: openEnumeration(Tag.LinkType, LinkType),
    linkedObjectIdentifier: text(Tag.LinkedObjectIdentifier),
  })
export type Link = Of<ReturnType<typeof link>>
