import { type Of, openEnumeration, optional, since, structure, text } from '@cryptvisor/ttlv'
import { KeyCompressionType, KeyFormatType, KeyWrapType } from '../enumeration.ts'
import { KeyWrappingSpecification } from '../object/key-wrapping.ts'
import { payloadWithObject } from '../object/payload-with-object.ts'
import { Tag } from '../tag.ts'
import { v1_4 } from '../version.ts'

/** KMIP 1.4, 4.11: asks for an object. */
export const GetRequest = structure(Tag.RequestPayload, {
  uniqueIdentifier: optional(text(Tag.UniqueIdentifier)),
  keyFormatType: optional(openEnumeration(Tag.KeyFormatType, KeyFormatType)),
  keyWrapType: since(v1_4, optional(openEnumeration(Tag.KeyWrapType, KeyWrapType))),
  keyCompressionType: optional(openEnumeration(Tag.KeyCompressionType, KeyCompressionType)),
  keyWrappingSpecification: optional(KeyWrappingSpecification),
})
export type GetRequest = Of<typeof GetRequest>

/** KMIP 1.4, 4.11: the object. The Object Type says which. */
export const GetResponse = payloadWithObject(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
})
export type GetResponse = Of<typeof GetResponse>
