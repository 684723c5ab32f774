import { type Of, openEnumeration, structure, text } from '@cryptvisor/ttlv'
import { KeyValueLocationType } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 3.42: where the key is that the server does not have. */
export const keyValueLocation = (tag: number) =>
  structure(tag, {
    keyValueLocationValue: text(Tag.KeyValueLocationValue),
    keyValueLocationType: openEnumeration(Tag.KeyValueLocationType, KeyValueLocationType),
  })
export type KeyValueLocation = Of<ReturnType<typeof keyValueLocation>>
