import { type Of, optional, structure, text } from '@cryptvisor/ttlv'
import { TemplateAttribute } from '../attribute/template-attribute.ts'
import { payloadWithObject } from '../object/payload-with-object.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.3: the server takes an object that the client has. The Object Type says which. */
export const RegisterRequest = payloadWithObject(Tag.RequestPayload, {
  templateAttribute: TemplateAttribute,
})
export type RegisterRequest = Of<typeof RegisterRequest>

/** KMIP 1.4, 4.3: what the object is called now. */
export const RegisterResponse = structure(Tag.ResponsePayload, {
  uniqueIdentifier: text(Tag.UniqueIdentifier),
  templateAttribute: optional(TemplateAttribute),
})
export type RegisterResponse = Of<typeof RegisterResponse>
