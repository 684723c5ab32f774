import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

const Hash = Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256, hex' })

/**
 * Who did what to what, with which result. `kind`: `request`, a call of the API that changes something, uses a
 * cryptographic privilege, or was refused; `event`, what happened; `key`, a KEK that was fetched or handed over.
 */
export const AuditRecord = Type.Object({
  position: Type.Integer({ minimum: 1, description: 'Counts from 1, without a gap' }),
  time: Time,
  kind: Type.Union([Type.Literal('request'), Type.Literal('event'), Type.Literal('key')]),
  user: Type.String({ description: '`system`: the control plane by itself; `-`: nobody who is known' }),
  address: Nullable(Type.String()),
  session: Nullable(Type.String({ description: 'The login session or API token: `session ID` or `api-token ID`' })),
  operation: Type.String({ description: 'Method and route, event type, `key.fetch` or `key.hand-over`' }),
  object: Type.String(),
  privilege: Nullable(Type.String({ description: 'What the operation needs, or what was lacking' })),
  outcome: Type.String({ description: '`success`, or the code of the error' }),
  requestId: Nullable(Type.String()),
  provider: Nullable(Type.String()),
  keyId: Nullable(Type.String()),
  task: Nullable(Type.String()),
  text: Nullable(Type.String()),
  hash: Hash,
})
export type AuditRecord = Static<typeof AuditRecord>
export const AuditList = Type.Object({ records: Type.Array(AuditRecord) })

/** The end of the chain, signed by the control plane (Ed25519, RFC 8032). */
export const AuditHead = Type.Object({
  position: Type.Integer({ minimum: 0, description: '0: there is no record' }),
  hash: Hash,
  time: Time,
  brokenAt: Nullable(Type.Integer({ description: 'Before this record somebody else wrote the head' })),
  signature: Type.String({ description: 'base64' }),
})
export type AuditHead = Static<typeof AuditHead>

/** Up to where records were removed, after they had been exported; signed like a head. */
export const AuditCheckpoint = Type.Object({
  position: Type.Integer({ minimum: 1 }),
  hash: Hash,
  time: Time,
  user: Type.String(),
  signature: Type.String({ description: 'base64' }),
})
export type AuditCheckpoint = Static<typeof AuditCheckpoint>

/** What a walk along the whole chain found. */
export const AuditCheck = Type.Object({
  whole: Type.Boolean(),
  recordCount: Type.Integer(),
  firstPosition: Nullable(Type.Integer()),
  badPosition: Nullable(Type.Integer({ description: 'The first position that is not as it was written' })),
  problem: Nullable(Type.String()),
  head: Nullable(AuditHead),
  publicKey: Type.String({ description: 'PEM; note it elsewhere to check exports with' }),
  keyFingerprint: Type.String({ description: 'SHA-256 of the public key (SPKI, DER), hex' }),
})
export type AuditCheck = Static<typeof AuditCheck>

/** Removes the records up to `through`; `hash` is that record’s, and shows that the sender has them. */
export const PruneAudit = Type.Object(
  { through: Type.Integer({ minimum: 1 }), hash: Hash },
  { additionalProperties: false },
)
export type PruneAudit = Static<typeof PruneAudit>

/** Which records; times are RFC 3339. Newest first, unless `after` is given: then the oldest first behind that position. */
export interface AuditQuery {
  readonly user?: string
  readonly kind?: string
  readonly keyId?: string
  readonly outcome?: string
  readonly since?: string
  readonly until?: string
  readonly before?: number
  readonly after?: number
  readonly limit?: number
}

/** The first line of an export. Its public key is worth nothing by itself: compare it with what was noted elsewhere. */
export const AuditExportStart = Type.Object({
  format: Type.Literal('cryptvisor-audit-1'),
  publicKey: Type.String(),
  checkpoint: Nullable(AuditCheckpoint),
})
export type AuditExportStart = Static<typeof AuditExportStart>

/** The last line of an export. */
export const AuditExportEnd = Type.Object({ head: Nullable(AuditHead) })
export type AuditExportEnd = Static<typeof AuditExportEnd>
