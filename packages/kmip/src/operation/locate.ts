import { enumeration, integer, type Of, optional, repeated, since, structure, text } from '@cryptvisor/ttlv'
import { WantedAttribute } from '../attribute/attribute.ts'
import { ObjectGroupMember } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_1, v1_3 } from '../version.ts'

/** KMIP 1.4, 4.9: asks which objects have all of these attributes. */
export const LocateRequest = structure(Tag.RequestPayload, {
  maximumItems: optional(integer(Tag.MaximumItems)),
  offsetItems: since(v1_3, optional(integer(Tag.OffsetItems))),
  /** Bits of `StorageStatusMask`. */
  storageStatusMask: optional(integer(Tag.StorageStatusMask)),
  objectGroupMember: since(v1_1, optional(enumeration(Tag.ObjectGroupMember, ObjectGroupMember))),
  attribute: repeated(WantedAttribute),
})
export type LocateRequest = Of<typeof LocateRequest>

/** KMIP 1.4, 4.9: none found is a success too. */
export const LocateResponse = structure(Tag.ResponsePayload, {
  /** How many there are, those that are not listed included. */
  locatedItems: since(v1_3, optional(integer(Tag.LocatedItems))),
  uniqueIdentifier: repeated(text(Tag.UniqueIdentifier)),
})
export type LocateResponse = Of<typeof LocateResponse>
