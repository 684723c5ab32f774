import { integer, type Of, structure } from '@cryptvisor/ttlv'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 6.1. */
export const ProtocolVersion = structure(Tag.ProtocolVersion, {
  major: integer(Tag.ProtocolVersionMajor),
  minor: integer(Tag.ProtocolVersionMinor),
})
export type ProtocolVersion = Of<typeof ProtocolVersion>
