import { type Static, Type } from 'typebox'
import { Impact } from './key-usage.ts'
import { Nullable, Time } from './names.ts'

/** A destructive request that only a second user can let happen. `expired` ones and all that were decided are over. */
export const Approval = Type.Object({
  id: Type.String(),
  /** Such as `key.destroy`. */
  action: Type.String(),
  /** What it is about, in words. */
  subject: Type.String(),
  state: Type.Union([
    Type.Literal('pending'),
    Type.Literal('approved'),
    Type.Literal('rejected'),
    Type.Literal('withdrawn'),
    Type.Literal('expired'),
  ]),
  reason: Nullable(Type.String()),
  requestedBy: Type.String(),
  createdAt: Time,
  expiresAt: Time,
  decidedBy: Nullable(Type.String()),
  decidedAt: Nullable(Time),
  comment: Nullable(Type.String()),
  /** The task that carries it out, where it is one. */
  task: Nullable(Type.String()),
  /** What dies by it: now, as long as it is pending; else as it was approved. */
  impact: Impact,
  /** Stands for exactly this request with exactly this impact; whoever approves it gives it back. */
  digest: Type.String(),
})
export type Approval = Static<typeof Approval>
export const ApprovalList = Type.Object({ approvals: Type.Array(Approval) })

const Comment = Type.String({ minLength: 1, maxLength: 1000 })

/** Refused when what would die is not what `digest` stands for any more. */
export const ApproveRequest = Type.Object(
  { digest: Type.String({ minLength: 64, maxLength: 64 }), comment: Type.Optional(Comment) },
  { additionalProperties: false },
)
export type ApproveRequest = Static<typeof ApproveRequest>

export const CloseRequest = Type.Object({ comment: Type.Optional(Comment) }, { additionalProperties: false })
export type CloseRequest = Static<typeof CloseRequest>
