import { type Of, repeated, structure } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'
import { Attribute } from './attribute.ts'
import { name } from './name.ts'

/** KMIP 1.4, 2.1.8: attributes for an object to be made, and names of Template objects with more of them. */
export const TemplateAttribute = structure(Tag.TemplateAttribute, {
  name: repeated(name(Tag.Name)),
  attribute: repeated(Attribute),
})
export type TemplateAttribute = Of<typeof TemplateAttribute>
