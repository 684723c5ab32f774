import { enumeration, type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { TemplateAttribute } from '../attribute/template-attribute.ts'
import { ObjectType } from '../enumeration.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.1: the server makes a symmetric key. */
export const CreateRequest = structure(Tag.RequestPayload, {
  objectType: enumeration(Tag.ObjectType, ObjectType),
  templateAttribute: TemplateAttribute,
})
export type CreateRequest = Of<typeof CreateRequest>

/** KMIP 1.4, 4.1: the new key, with the attributes that the server set and the client did not ask for. */
export const CreateResponse = structure(Tag.ResponsePayload, {
  objectType: enumeration(Tag.ObjectType, ObjectType),
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  templateAttribute: optional(TemplateAttribute),
})
export type CreateResponse = Of<typeof CreateResponse>
