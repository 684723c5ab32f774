import {
  dateTime,
  integer,
  type Of,
  openEnumeration,
  optional,
  repeated,
  since,
  structure,
  text,
} from '@cryptvisor/ttlv'
import { AttestationType } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_2, v1_4 } from '../version.ts'
import { Nonce } from './credential.ts'
import { ProtocolVersion } from './protocol-version.ts'

/** KMIP 1.4, 7.2. */
export const ResponseHeader = structure(Tag.ResponseHeader, {
  protocolVersion: ProtocolVersion,
  timeStamp: dateTime(Tag.TimeStamp),
  nonce: since(v1_2, optional(Nonce)),
  attestationType: since(v1_2, repeated(openEnumeration(Tag.AttestationType, AttestationType))),
  clientCorrelationValue: since(v1_4, optional(text(Tag.ClientCorrelationValue))),
  serverCorrelationValue: since(v1_4, optional(text(Tag.ServerCorrelationValue))),
  batchCount: integer(Tag.BatchCount),
})
export type ResponseHeader = Of<typeof ResponseHeader>
