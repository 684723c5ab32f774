import type { Approval, ApproveRequest, Impact } from '@cryptvisor/control-plane-api'
import { v7 } from 'uuid'
import type { ApprovalRow } from '../../database/key-life-rows.ts'
import { requirePrivileges } from '../access-control.ts'
import type { Caller } from '../bearers.ts'
import { timeText, timeTextOrNull } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { Sight } from '../permissions/sight.ts'
import type { NewEvent, Principal } from '../ports.ts'
import type { Database, WorkContext } from '../work/context.ts'
import type { ApprovalAction } from './approval-action.ts'
import { digestOf, grownBy, usersText } from './impact.ts'
import { requireSeesAll, seenImpact } from './seen-impact.ts'
import { requireTwoPeople } from './two-people.ts'

/** How long a request waits for its second user. */
export const approvalWaitMsMax = 24 * 3_600_000

/** The most requests that one user has waiting. */
const pendingPerUserMax = 50

/** The most that one answer lists. */
const listedMax = 200

/** Whoever approves, and what they show for it. */
export type Approver = Principal & Pick<Caller, 'bearer'>

/** What is asked for. */
export interface NewApproval<Request> {
  readonly action: ApprovalAction<Request>
  readonly request: Request
  /** What it is about, in words. */
  readonly subject: string
  readonly reason: string | undefined
  /** What it is about by name, for its events. */
  readonly about: Pick<NewEvent, 'vm' | 'host' | 'provider' | 'keyId'>
}

/** What of a request is kept, beside what its action needs. */
interface Stored<Request> {
  readonly request: Request
  readonly about: NewApproval<Request>['about']
}

/**
 * Requests that one user makes and another one lets happen: each can be approved once, by somebody else, until it
 * expires, and only as it was shown.
 */
export class Approvals {
  readonly #work: WorkContext
  readonly #principalOf: (user: string) => Promise<Principal>
  // Each action reads the requests that it wrote itself.
  readonly #actions = new Map<string, ApprovalAction<unknown>>()

  /** `principalOf`: a user with what they may do now. */
  constructor(work: WorkContext, principalOf: (user: string) => Promise<Principal>) {
    this.#work = work
    this.#principalOf = principalOf
  }

  /** Makes an action known; once for each, before anything is asked for. */
  add<Request>(action: ApprovalAction<Request>): void {
    // See above.
    this.#actions.set(action.name, action as ApprovalAction<unknown>)
  }

  /** Writes a request down, with what would die by it now. */
  async request<Request>(
    { action, request, subject, reason, about }: NewApproval<Request>,
    by: Principal,
  ): Promise<Approval> {
    const now = this.#work.clock()
    await action.requireMay?.(this.#work.database, request, by)
    const row = await this.#work.events.transaction(async (transaction, record) => {
      const waiting = await transaction
        .selectFrom('approval')
        .select('id')
        .where('state', '=', 'pending')
        .where('requested_by', '=', by.name)
        .where('expires_at', '>', now)
        .execute()
      if (waiting.length >= pendingPerUserMax) {
        throw new ControlPlaneError(
          'too-busy',
          `${waiting.length} requests of yours wait for approval: have some decided or withdraw them first («approval list»)`,
        )
      }
      const impact = JSON.stringify(await action.impact(transaction, request))
      const inserted: ApprovalRow = {
        id: v7(),
        action: action.name,
        subject,
        request: JSON.stringify({ request, about } satisfies Stored<Request>),
        impact,
        impact_requested: impact,
        state: 'pending',
        reason: reason ?? null,
        requested_by: by.name,
        created_at: now,
        expires_at: now + approvalWaitMsMax,
        decided_by: null,
        decided_at: null,
        comment: null,
        task_id: null,
      }
      await transaction.insertInto('approval').values(inserted).execute()
      const text = `${by.name} asks to ${subject}${because(reason ?? null)}. A second user has to approve it until ${timeText(inserted.expires_at)}: «approval show ${inserted.id}»`
      await record({ type: 'approval.requested', ...about, text, user: by.name })
      return inserted
    })
    return this.#viewFor(row, by)
  }

  /** The newest first, as far as `by` may see what they are about. */
  async list(pendingOnly: boolean, by: Principal): Promise<Approval[]> {
    let found = this.#work.database.selectFrom('approval').selectAll().orderBy('created_at', 'desc').limit(listedMax)
    if (pendingOnly) found = found.where('state', '=', 'pending').where('expires_at', '>', this.#work.clock())
    const rows = await found.execute()
    const sight = await Sight.of(this.#work.database, by)
    const views: Approval[] = []
    for (const row of rows) views.push(await this.#view(row, sight))
    return views
  }

  /** With what would die now, while it is pending. Throws `not-found`. */
  async show(id: string, by: Principal): Promise<Approval> {
    return this.#viewFor(await this.#row(this.#work.database, id), by)
  }

  /**
   * Lets it happen. Throws `no-privilege` for whoever asked for it, could be the same person, lacks a privilege or may not see
   * all that dies; `approval-outdated` when it is over, whoever asked for it may not do so any more, or it would destroy
   * something else than what was shown; `invalid` for an API token, which may lie in a script: a person has to look.
   */
  async approve(id: string, { digest, comment }: ApproveRequest, by: Approver): Promise<Approval> {
    if (by.bearer.kind !== 'session') {
      throw new ControlPlaneError('invalid', 'an API token cannot approve anything: log in with your password')
    }
    const row = await this.#row(this.#work.database, id)
    const action = this.#action(row)
    requirePrivileges(by, action.privileges)
    if (isSamePerson(row.requested_by, by.name)) {
      throw new ControlPlaneError(
        'no-privilege',
        `${row.requested_by} asked for this, so somebody else has to approve it: another user with ${action.privileges.join(', ')}. You can withdraw it: «approval withdraw ${id}»`,
      )
    }
    const { request, about } = storedOf(row)
    await action.requireMay?.(this.#work.database, request, by)
    await this.#requireStillMay(row, action)
    await action.carryOut(request, {
      approvalId: id,
      requestedBy: row.requested_by,
      approvedBy: by,
      reason: row.reason,
      use: async (transaction, record, taskId) => {
        const current = await this.#row(transaction, id)
        this.#requirePending(current)
        await requireTwoPeople(transaction, {
          requestedBy: current.requested_by,
          requestedAt: current.created_at,
          approvedBy: by.name,
          now: this.#work.clock(),
        })
        const impact = await this.#impactNow(transaction, current)
        requireSeesAll(impact, await Sight.of(transaction, by))
        if (digestOf(id, current.request, impact) !== digest) {
          throw new ControlPlaneError(
            'approval-outdated',
            `what would be destroyed is not what you were shown: look again («approval show ${id}») and approve that`,
            { field: 'digest' },
          )
        }
        await this.#close(transaction, id, 'approved', by, comment, { impact: JSON.stringify(impact), task_id: taskId })
        const text = `${by.name} approved what ${row.requested_by} asked for: to ${row.subject}${because(row.reason)}`
        await record({ type: 'approval.approved', ...about, text, user: by.name, task: taskId })
        return impact
      },
    })
    return this.show(id, by)
  }

  /** Somebody says no; also whoever asked for it, who then takes it back. */
  async reject(id: string, comment: string | undefined, by: Principal): Promise<Approval> {
    await this.#work.events.transaction(async (transaction, record) => {
      const row = await this.#row(transaction, id)
      requirePrivileges(by, this.#action(row).privileges)
      this.#requirePending(row)
      await this.#close(transaction, id, 'rejected', by, comment)
      const text = `${by.name} rejected what ${row.requested_by} asked for: to ${row.subject}${because(comment ?? null)}`
      await record({ type: 'approval.rejected', ...storedOf(row).about, text, user: by.name })
    })
    return this.show(id, by)
  }

  /** Throws `no-privilege` for everybody but whoever asked for it. */
  async withdraw(id: string, comment: string | undefined, by: Principal): Promise<Approval> {
    await this.#work.events.transaction(async (transaction, record) => {
      const row = await this.#row(transaction, id)
      if (!isSamePerson(row.requested_by, by.name)) {
        throw new ControlPlaneError(
          'no-privilege',
          `${row.requested_by} asked for this, and can withdraw it; you can reject it: «approval reject ${id}»`,
        )
      }
      this.#requirePending(row)
      await this.#close(transaction, id, 'withdrawn', by, comment)
      const text = `${by.name} withdrew the request to ${row.subject}`
      await record({ type: 'approval.withdrawn', ...storedOf(row).about, text, user: by.name })
    })
    return this.show(id, by)
  }

  async #close(
    transaction: Database,
    id: string,
    state: 'approved' | 'rejected' | 'withdrawn',
    by: Principal,
    comment: string | undefined,
    more: Partial<Pick<ApprovalRow, 'impact' | 'task_id'>> = {},
  ): Promise<void> {
    await transaction
      .updateTable('approval')
      .set({ state, decided_by: by.name, decided_at: this.#work.clock(), comment: comment ?? null, ...more })
      .where('id', '=', id)
      .execute()
  }

  /** Whoever asked may have been removed since, or have lost what it takes: then one person would be left to decide. */
  async #requireStillMay(row: ApprovalRow, action: ApprovalAction<unknown>): Promise<void> {
    try {
      const requester = await this.#principalOf(row.requested_by)
      requirePrivileges(requester, action.privileges)
      await action.requireMay?.(this.#work.database, storedOf(row).request, requester)
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
      throw new ControlPlaneError(
        'approval-outdated',
        `${row.requested_by}, who asked for this, may not have it done any more: ask for it anew, and have somebody else approve that`,
        { cause: error },
      )
    }
  }

  #requirePending(row: ApprovalRow): void {
    const state = this.#stateOf(row)
    if (state === 'pending') return
    throw new ControlPlaneError(
      'approval-outdated',
      `this request is over: it ${state === 'expired' ? 'expired' : `was ${state}`}. Ask for it anew`,
    )
  }

  #stateOf(row: ApprovalRow): Approval['state'] {
    return row.state === 'pending' && row.expires_at <= this.#work.clock() ? 'expired' : row.state
  }

  #action(row: ApprovalRow): ApprovalAction<unknown> {
    const action = this.#actions.get(row.action)
    if (action === undefined) throw new Error(`no action ${row.action} is known`)
    return action
  }

  async #row(database: Database, id: string): Promise<ApprovalRow> {
    const row = await database.selectFrom('approval').selectAll().where('id', '=', id).executeTakeFirst()
    if (row === undefined) {
      throw new ControlPlaneError('not-found', `there is no request ${id} for approval: see «approval list»`)
    }
    return row
  }

  async #viewFor(row: ApprovalRow, by: Principal): Promise<Approval> {
    return this.#view(row, await Sight.of(this.#work.database, by))
  }

  /** As far as `sight` reaches; the digest stands for all. */
  async #view(row: ApprovalRow, sight: Sight): Promise<Approval> {
    const state = this.#stateOf(row)
    const impact = await this.#impactOf(row, state)
    const about = storedOf(row).about.keyId
    const unseen = `${row.action}${about == null ? '' : ` ${about}`}, of what you may not see`
    return {
      id: row.id,
      action: row.action,
      subject: sight.textOf(row.subject, unseen),
      state,
      reason: row.reason,
      requestedBy: row.requested_by,
      createdAt: timeText(row.created_at),
      expiresAt: timeText(row.expires_at),
      decidedBy: row.decided_by,
      decidedAt: timeTextOrNull(row.decided_at),
      comment: row.comment,
      task: row.task_id,
      impact: seenImpact(impact, sight),
      digest: digestOf(row.id, row.request, impact),
    }
  }

  /** As it is now, where that still can change anything. */
  async #impactOf(row: ApprovalRow, state: Approval['state']): Promise<Impact> {
    // Written by us from an `Impact`.
    const stored = JSON.parse(row.impact) as Impact
    if (state !== 'pending') return stored
    try {
      return await this.#impactNow(this.#work.database, row)
    } catch (error) {
      if (!(error instanceof ControlPlaneError)) throw error
      return { ...stored, warnings: [`it cannot be done any more: ${error.message}`] }
    }
  }

  async #impactNow(database: Database, row: ApprovalRow): Promise<Impact> {
    const impact = await this.#action(row).impact(database, storedOf(row).request)
    // Written by us from an `Impact`.
    const joined = grownBy(JSON.parse(row.impact_requested) as Impact, impact.users)
    if (joined.length === 0) return impact
    const warning = `not known when it was asked for, and would die too: ${usersText(joined)}`
    return { ...impact, warnings: [...impact.warnings, warning] }
  }
}

function storedOf(row: ApprovalRow): Stored<unknown> {
  // Written by `request`.
  return JSON.parse(row.request) as Stored<unknown>
}

/** User names that differ in case alone are one person's (`Users`). */
function isSamePerson(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase()
}

const because = (reason: string | null) => (reason === null ? '' : ` («${reason}»)`)
