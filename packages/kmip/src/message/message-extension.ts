import { boolean, type Of, structure, text, undeclared } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 6.16: a vendor's addition. One that is critical and not understood fails the batch item. */
export const MessageExtension = structure(Tag.MessageExtension, {
  vendorIdentification: text(Tag.VendorIdentification),
  criticalityIndicator: boolean(Tag.CriticalityIndicator),
  vendorExtension: undeclared(Tag.VendorExtension),
})
export type MessageExtension = Of<typeof MessageExtension>
