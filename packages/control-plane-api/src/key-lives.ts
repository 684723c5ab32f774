import { type Static, Type } from 'typebox'
import { Approval } from './approvals.ts'
import { Name, Nullable, Time } from './names.ts'

const Reason = Type.String({ minLength: 1, maxLength: 1000 })
const Cause = Type.Union([Type.Literal('cessation-of-operation'), Type.Literal('key-compromise')])

/** A year: longer than anybody waits. */
export const destroyAfterSecondsMax = 31_536_000

const AfterSeconds = Type.Integer({
  minimum: 0,
  maximum: destroyAfterSecondsMax,
  description: 'How long the key can be taken back; as the setting keyDestroyAfterDays says when left out',
})

/** What is to be done to a key at its provider, and what became of it. */
export const KeyOrder = Type.Object({
  id: Type.String(),
  provider: Type.String(),
  keyId: Type.String(),
  action: Type.Union([Type.Literal('revoke'), Type.Literal('destroy')]),
  cause: Cause,
  /**
   * `scheduled`: waits until `dueAt`, and can be restored. `at-work`: the provider is asked until it confirms.
   * `refused`: when it was due, something used the key.
   */
  state: Type.Union([
    Type.Literal('scheduled'),
    Type.Literal('at-work'),
    Type.Literal('done'),
    Type.Literal('restored'),
    Type.Literal('refused'),
  ]),
  dueAt: Time,
  user: Type.String(),
  approvedBy: Nullable(Type.String()),
  reason: Nullable(Type.String()),
  /** Why it is not done yet, or was refused. */
  problem: Nullable(Type.String()),
  createdAt: Time,
  endedAt: Nullable(Time),
})
export type KeyOrder = Static<typeof KeyOrder>
export const KeyOrderList = Type.Object({ orders: Type.Array(KeyOrder) })

/** `force`: something uses the key; a second user has to approve. */
export const DestroyKey = Type.Object(
  { afterSeconds: Type.Optional(AfterSeconds), force: Type.Optional(Type.Boolean()), reason: Type.Optional(Reason) },
  { additionalProperties: false },
)
export type DestroyKey = Static<typeof DestroyKey>

export const RevokeKey = Type.Object(
  { cause: Type.Optional(Cause), force: Type.Optional(Type.Boolean()), reason: Type.Optional(Reason) },
  { additionalProperties: false },
)
export type RevokeKey = Static<typeof RevokeKey>

/** One of the two: what was ordered, or what waits for a second user. */
export const KeyRequested = Type.Object({ order: Nullable(KeyOrder), approval: Nullable(Approval) })
export type KeyRequested = Static<typeof KeyRequested>

/** A key that wrapped something once and wraps nothing now. Old backups of disks may need it still. */
export const RetiredKey = Type.Object({
  provider: Type.String(),
  keyId: Type.String(),
  owner: Type.Object({
    kind: Type.Union([Type.Literal('vm'), Type.Literal('host'), Type.Literal('key-provider')]),
    id: Type.String(),
    name: Type.String(),
  }),
  createdAt: Time,
  /** `null`: before this was kept. */
  retiredAt: Nullable(Time),
  /** Whole days since it was retired. */
  retiredDays: Nullable(Type.Integer()),
  /** When it is going to be destroyed. */
  destroyAt: Nullable(Time),
})
export type RetiredKey = Static<typeof RetiredKey>
export const RetiredKeyList = Type.Object({ keys: Type.Array(RetiredKey) })

/** Retired keys in bulk: those that were retired longer ago than so many days. */
export const DestroyRetiredKeys = Type.Object(
  {
    olderThanDays: Type.Integer({ minimum: 0, maximum: 36_500 }),
    provider: Type.Optional(Name),
    afterSeconds: Type.Optional(AfterSeconds),
    reason: Type.Optional(Reason),
  },
  { additionalProperties: false },
)
export type DestroyRetiredKeys = Static<typeof DestroyRetiredKeys>

/** `skipped`: those that were left alone, and why. */
export const DestroyedRetiredKeys = Type.Object({
  orders: Type.Array(KeyOrder),
  skipped: Type.Array(Type.Object({ provider: Type.String(), keyId: Type.String(), why: Type.String() })),
})
export type DestroyedRetiredKeys = Static<typeof DestroyedRetiredKeys>

/** A key that provider and control plane do not agree about. */
export const KeyOrphan = Type.Object({
  provider: Type.String(),
  keyId: Type.String(),
  /**
   * `unanswered`: carries labels of ours, or none, and is on record nowhere: its Create was answered to nobody, or somebody else's
   * who uses the same key server.
   * `unrecorded`: its labels name a VM or host that is here, and yet it is not on record.
   * `foreign`: its labels name something that is not here: it belongs to another control plane, or to a database that was lost.
   * `returned`: it was destroyed, and is there again. `missing`: it is in use here, and its provider does not have it.
   */
  kind: Type.Union([
    Type.Literal('unanswered'),
    Type.Literal('unrecorded'),
    Type.Literal('foreign'),
    Type.Literal('returned'),
    Type.Literal('missing'),
  ]),
  state: Nullable(Type.String()),
  createdAt: Nullable(Time),
  ageDays: Nullable(Type.Integer()),
  /** Its `x-` attributes. */
  labels: Type.Record(Type.String(), Type.String()),
  why: Type.String(),
  /** Whether it can be destroyed without a second user. */
  disposable: Type.Boolean(),
})
export type KeyOrphan = Static<typeof KeyOrphan>

/** `failures`: providers that could not be asked, and why. */
export const KeyOrphanList = Type.Object({
  orphans: Type.Array(KeyOrphan),
  failures: Type.Array(Type.Object({ provider: Type.String(), problem: Type.String() })),
})
export type KeyOrphanList = Static<typeof KeyOrphanList>
