import {
  boolean,
  dateTime,
  enumeration,
  integer,
  type Of,
  openEnumeration,
  optional,
  repeated,
  since,
  structure,
  text,
} from '@cryptvisor/ttlv'
import { AttestationType, BatchErrorContinuationOption } from '../enumeration.ts'
import { Tag } from '../tag.ts'
import { v1_2, v1_4 } from '../version.ts'
import { Authentication } from './credential.ts'
import { ProtocolVersion } from './protocol-version.ts'

/** KMIP 1.4, 7.2. */
export const RequestHeader = structure(Tag.RequestHeader, {
  protocolVersion: ProtocolVersion,
  maximumResponseSize: optional(integer(Tag.MaximumResponseSize)),
  clientCorrelationValue: since(v1_4, optional(text(Tag.ClientCorrelationValue))),
  serverCorrelationValue: since(v1_4, optional(text(Tag.ServerCorrelationValue))),
  asynchronousIndicator: optional(boolean(Tag.AsynchronousIndicator)),
  attestationCapableIndicator: since(v1_2, optional(boolean(Tag.AttestationCapableIndicator))),
  attestationType: since(v1_2, repeated(openEnumeration(Tag.AttestationType, AttestationType))),
  authentication: optional(Authentication),
  batchErrorContinuationOption: optional(enumeration(Tag.BatchErrorContinuationOption, BatchErrorContinuationOption)),
  batchOrderOption: optional(boolean(Tag.BatchOrderOption)),
  timeStamp: optional(dateTime(Tag.TimeStamp)),
  batchCount: integer(Tag.BatchCount),
})
export type RequestHeader = Of<typeof RequestHeader>
