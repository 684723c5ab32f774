import { type Of, repeated, structure } from '@cryptvisor/ttlv'
import { ProtocolVersion } from '../message/protocol-version.ts'
import { Tag } from '../tag.ts'

/** KMIP 1.4, 4.26: asks which versions the server has, among these where some are given. */
export const DiscoverVersionsRequest = structure(Tag.RequestPayload, {
  protocolVersion: repeated(ProtocolVersion),
})
export type DiscoverVersionsRequest = Of<typeof DiscoverVersionsRequest>

/** KMIP 1.4, 4.26: the versions, the server's favourite first. */
export const DiscoverVersionsResponse = structure(Tag.ResponsePayload, {
  protocolVersion: repeated(ProtocolVersion),
})
export type DiscoverVersionsResponse = Of<typeof DiscoverVersionsResponse>
