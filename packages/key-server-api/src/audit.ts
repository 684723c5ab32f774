import { type Static, Type } from 'typebox'
import { Limit } from './page.ts'

const OrNull = Type.Union([Type.String(), Type.Null()])

/** One batch item of a KMIP message, or a message that could not be read. Each record's hash covers the one before. */
export const AuditEntry = Type.Object(
  {
    position: Type.Integer({ minimum: 1, description: 'Without gaps' }),
    time: Type.String({ format: 'date-time' }),
    client: Type.String(),
    certificateFingerprint: Type.String({ description: 'SHA-256, 64 hex digits' }),
    address: Type.String(),
    protocolVersion: OrNull,
    operation: OrNull,
    objectId: OrNull,
    resultStatus: Type.String(),
    resultReason: OrNull,
    hash: Type.String({ description: 'SHA-256 over the hash before and this record, 64 hex digits' }),
  },
  { additionalProperties: false },
)
export type AuditEntry = Static<typeof AuditEntry>

export const AuditQuery = Type.Object(
  {
    client: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
    objectId: Type.Optional(Type.String({ minLength: 1, maxLength: 100 })),
    before: Type.Optional(Type.Integer({ minimum: 1, description: '`next` of the page before' })),
    limit: Limit,
  },
  { additionalProperties: false },
)
export type AuditQuery = Static<typeof AuditQuery>

/** The newest first. */
export const AuditPage = Type.Object(
  {
    records: Type.Array(AuditEntry),
    next: Type.Union([Type.Integer(), Type.Null()], { description: 'For `before`; null on the last page' }),
  },
  { additionalProperties: false },
)
export type AuditPage = Static<typeof AuditPage>

/** What a walk along the whole chain of hashes found. Compare `head` with one that was noted elsewhere. */
export const AuditCheck = Type.Object(
  {
    records: Type.Integer({ minimum: 0 }),
    head: Type.Union([Type.String(), Type.Null()], { description: 'The hash of the last record' }),
    brokenAt: Type.Union([Type.Integer(), Type.Null()], {
      description: 'The first position that is missing, changed or out of order; null when all is whole',
    }),
  },
  { additionalProperties: false },
)
export type AuditCheck = Static<typeof AuditCheck>
