import type {
  DestroyedRetiredKeys,
  DestroyKey,
  Impact,
  KeyOrder,
  KeyRequested,
  KeyUser,
  RevokeKey,
} from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { KeyDescription } from '@cryptvisor/key-provider'
import type { KeyOrderRow } from '../../../../database/key-life-rows.ts'
import type { ApprovalAction } from '../../../approvals/approval-action.ts'
import type { Approvals } from '../../../approvals/approvals.ts'
import { impactOf, usersText } from '../../../approvals/impact.ts'
import { timeText } from '../../../clock.ts'
import { ControlPlaneError } from '../../../control-plane-error.ts'
import { keyText } from '../../../key-reference.ts'
import { Sight } from '../../../permissions/sight.ts'
import type { Principal } from '../../../ports.ts'
import { isRehearsed } from '../../../rehearsal.ts'
import type { Database, WorkContext } from '../../context.ts'
import { findProvider } from '../../vms/lookup.ts'
import { findKey } from '../key-rows.ts'
import type { Kms, Purpose } from '../kms.ts'
import { initialDateOf, labelsOf, namesKnownOwner } from '../orphans/labels.ts'
import { ownerText } from '../owner-text.ts'
import { isGone } from '../provider-destroy.ts'
import { keyUsers, usersByKey } from '../usage/key-usage.ts'
import { seenUsersText } from '../usage/seen-users.ts'
import {
  insertOrder,
  insertOrders,
  newOrder,
  openOrder,
  openOrders,
  orderedAlready,
  orderView,
  updateOrder,
} from './order-store.ts'
import type { OrderWorker } from './order-worker.ts'

/** What is asked to be done to a key, as an approval keeps it. */
interface KeyRequest {
  readonly key: KeyReference
  readonly cause: KeyOrderRow['cause']
  /** How long it can be taken back, in milliseconds. */
  readonly afterMs: number
  /** Why somebody has to approve it although nothing here uses the key. */
  readonly warnings: readonly string[]
}

type Action = KeyOrderRow['action']

/**
 * Revokes and destroys keys when people ask for it. While something uses a key that is refused, or, when it is forced,
 * waits for a second user who is shown what dies.
 */
export class KeyOrders {
  readonly #work: WorkContext
  readonly #kms: Kms
  readonly #approvals: Approvals
  readonly #worker: OrderWorker
  readonly #afterMsDefault: number
  readonly #actions: Readonly<Record<Action, ApprovalAction<KeyRequest>>>

  /** `afterMsDefault`: how long a key that is to be destroyed can be taken back when nobody says. */
  constructor(work: WorkContext, kms: Kms, approvals: Approvals, worker: OrderWorker, afterMsDefault: number) {
    this.#work = work
    this.#kms = kms
    this.#approvals = approvals
    this.#worker = worker
    this.#afterMsDefault = afterMsDefault
    this.#actions = { revoke: this.#approvalAction('revoke'), destroy: this.#approvalAction('destroy') }
    approvals.add(this.#actions.revoke)
    approvals.add(this.#actions.destroy)
  }

  /** Has a key destroyed after a waiting time. Throws `in-use`, naming every user, unless it is forced. */
  async destroy(provider: string, keyId: string, request: DestroyKey, by: Principal): Promise<KeyRequested> {
    const afterMs = request.afterSeconds === undefined ? this.#afterMsDefault : request.afterSeconds * 1000
    const cause = 'cessation-of-operation'
    return this.#ask('destroy', { provider, keyId }, { ...request, afterMs, cause }, by)
  }

  /** Has a key revoked, now. Throws `in-use`, naming every user, unless it is forced. */
  async revoke(provider: string, keyId: string, request: RevokeKey, by: Principal): Promise<KeyRequested> {
    const cause = request.cause ?? 'cessation-of-operation'
    return this.#ask('revoke', { provider, keyId }, { ...request, afterMs: 0, cause }, by)
  }

  /**
   * Orders the destruction of those of `keys` that nothing uses, in a transaction of the caller's, in a few queries however
   * many there are; says why the others are left alone. `wake` the worker afterwards.
   */
  async orderUnused(
    transaction: Database,
    keys: readonly KeyReference[],
    { afterSeconds, reason }: Pick<DestroyKey, 'afterSeconds' | 'reason'>,
    by: Principal,
  ): Promise<DestroyedRetiredKeys> {
    const sight = await Sight.of(transaction, by)
    const users = usersByKey(await keyUsers(transaction, { keys }))
    const open = await openOrders(transaction)
    const now = this.#work.clock()
    const afterMs = afterSeconds === undefined ? this.#afterMsDefault : afterSeconds * 1000
    const order = { ...orderOf('destroy', 'cessation-of-operation', now + afterMs, by), reason: reason ?? null }
    const rows: KeyOrderRow[] = []
    const skipped: DestroyedRetiredKeys['skipped'] = []
    for (const key of keys) {
      const using = users.get(keyText(key)) ?? []
      const before = open.get(keyText(key))
      if (using.length > 0) skipped.push({ ...key, why: needsForce('destroy', key, using, [], sight).message })
      else if (before !== undefined) skipped.push({ ...key, why: orderedAlready(before).message })
      else rows.push(newOrder(key, order, now))
    }
    await insertOrders(transaction, rows)
    return { orders: rows.map(orderView), skipped }
  }

  /** Takes back what is ordered for a key and not done. Throws `not-found` when there is nothing, or it is too late. */
  async restore(providerName: string, keyId: string, by: Principal): Promise<KeyOrder> {
    const provider = await findProvider(this.#work.database, providerName, 'provider')
    const key = { provider, keyId }
    const open = await openOrder(this.#work.database, key)
    if (open === null) throw nothingOrdered(key)
    const restored = await this.#worker.alone(open, async () => {
      const current = await openOrder(this.#work.database, key)
      if (current === null) throw nothingOrdered(key)
      const found = current.state === 'at-work' ? await this.#kms.describe(key, purposeOf(by)) : null
      if (current.state === 'at-work' && isGone(found)) {
        throw new ControlPlaneError(
          'not-found',
          `it is too late: key provider ${provider} does not have key ${keyId} any more`,
        )
      }
      return this.#work.events.transaction(async (transaction, record) => {
        const now = this.#work.clock()
        await updateOrder(transaction, current.id, { state: 'restored', ended_at: now })
        const revoked =
          found !== null && found.state !== 'Active' ? `; it is ${found.state}, which cannot be taken back` : ''
        const text = `Key ${keyId} of provider ${provider} is not going to be ${current.action === 'revoke' ? 'revoked' : 'destroyed'}: ${by.name} took that back${revoked}`
        await record({ type: 'kms.crypto.key-restored', provider, keyId, text, user: by.name })
        return { ...current, state: 'restored' as const, ended_at: now }
      })
    })
    return orderView(restored)
  }

  /** Open ones, the first due first; or all, the newest first. */
  async list(openOnly: boolean): Promise<KeyOrder[]> {
    const all = this.#work.database.selectFrom('key_order').selectAll().limit(1000)
    const found = openOnly ? all.where('ended_at', 'is', null).orderBy('due_at') : all.orderBy('created_at', 'desc')
    return (await found.execute()).map(orderView)
  }

  /** There is something new to carry out. */
  wake(): void {
    this.#worker.wake()
  }

  async #ask(
    action: Action,
    named: KeyReference,
    {
      cause,
      afterMs,
      force,
      reason,
    }: { cause: KeyOrderRow['cause']; afterMs: number; force?: boolean; reason?: string },
    by: Principal,
  ): Promise<KeyRequested> {
    const key = { provider: await findProvider(this.#work.database, named.provider, 'provider'), keyId: named.keyId }
    const warnings = await this.#warnings(key, by)
    const users = await keyUsers(this.#work.database, { keys: [key] })
    const open = await openOrder(this.#work.database, key)
    if (open !== null) throw orderedAlready(open)
    requireNoTask(key, users)
    const sight = await Sight.of(this.#work.database, by)
    if (users.length > 0 || warnings.length > 0) {
      if (force !== true) throw needsForce(action, key, users, warnings, sight)
      const subject = `${action} key ${key.keyId} of provider ${key.provider}${users.length === 0 ? '' : `, which ${usersText(users)} cannot be opened without`}`
      const request: KeyRequest = { key, cause, afterMs, warnings }
      const approval = await this.#approvals.request(
        { action: this.#actions[action], request, subject, reason, about: key },
        by,
      )
      return { order: null, approval }
    }
    const now = this.#work.clock()
    const row = await this.#work.events.transaction(async (transaction, record) => {
      requireUnused(action, key, await keyUsers(transaction, { keys: [key] }), sight)
      const order = { ...orderOf(action, cause, now + afterMs, by), reason: reason ?? null }
      const inserted = await insertOrder(transaction, key, order, now)
      await record(scheduledEvent(inserted))
      return inserted
    })
    return { order: orderView(await this.#attempt(row)), approval: null }
  }

  /** Tries what is due at once, so that whoever asked sees how it went. */
  async #attempt(row: KeyOrderRow): Promise<KeyOrderRow> {
    if (isRehearsed()) return row
    if (row.due_at <= this.#work.clock()) await this.#worker.attempt(row.id)
    this.#worker.wake()
    const { database } = this.#work
    return database.selectFrom('key_order').selectAll().where('id', '=', row.id).executeTakeFirstOrThrow()
  }

  /**
   * What speaks against touching a key although nothing here uses it. Throws `not-found` for one that the provider does
   * not have, `in-use` for one that is just being made.
   */
  async #warnings(key: KeyReference, by: Principal): Promise<string[]> {
    const row = await findKey(this.#work.database, key)
    if (row?.state === 'pending') {
      throw new ControlPlaneError(
        'in-use',
        `key ${key.keyId} was made just now for ${ownerText(row.owner_kind, row.owner_name)}, and wraps nothing yet: wait for that to end`,
      )
    }
    if (row !== null) return []
    const found = await this.#kms.describe(key, purposeOf(by))
    if (isGone(found) || found === null) {
      throw new ControlPlaneError(
        'not-found',
        `key provider ${key.provider} has no key ${key.keyId}: see «keys list»`,
        {
          field: 'keyId',
        },
      )
    }
    const labels = labelsOf(found)
    const identifier = labels['x-Identifier']
    // Other tenants of the key server may have made it. What is ours for certain is on record: its ID came here.
    if (identifier === undefined) {
      return [
        `the key is on record nowhere, and no label says what it is for, so it may be anybody’s who uses the same key server${ageText(found, this.#work.clock())}`,
      ]
    }
    const whose = `${labels['x-Component'] ?? 'something'} «${labels['x-Name'] ?? ''}» (${identifier})`
    return [
      (await namesKnownOwner(this.#work.database, identifier))
        ? `the key is on record nowhere, and its labels say that it is for ${whose}, which is here: perhaps this control plane was restored from an older backup`
        : `the key is on record nowhere, and its labels say that it is for ${whose}, which is not here: it belongs to another control plane, or to a database that was lost`,
    ]
  }

  #approvalAction(action: Action): ApprovalAction<KeyRequest> {
    return {
      name: `key.${action}`,
      privileges: ['Cryptographer.ManageKeys'],
      impact: async (database, { key, warnings }): Promise<Impact> => {
        const users = await keyUsers(database, { keys: [key] })
        requireNoTask(key, users)
        return impactOf([key], users, warnings)
      },
      carryOut: async ({ key, cause, afterMs }, decision) => {
        const row = await this.#work.events.transaction(async (transaction, record) => {
          const impact = await decision.use(transaction, record, null)
          const now = this.#work.clock()
          const inserted = await insertOrder(
            transaction,
            key,
            {
              ...orderOf(action, cause, now + afterMs, { name: decision.requestedBy }),
              approved_by: decision.approvedBy.name,
              approval_id: decision.approvalId,
              reason: decision.reason,
              impact: JSON.stringify(impact),
            },
            now,
          )
          await record(scheduledEvent(inserted))
          return inserted
        })
        await this.#attempt(row)
      },
    }
  }
}

/** For whoever has to judge whose key it is. */
function ageText(description: KeyDescription, now: number): string {
  const made = initialDateOf(description)
  const product = labelsOf(description)['x-Product']
  const age =
    made === null ? '' : `; it was made at ${timeText(made)}, ${Math.floor((now - made) / 86_400_000)} days ago`
  return `${age}${product === undefined ? '' : `; x-Product says ${product}`}`
}

function orderOf(action: Action, cause: KeyOrderRow['cause'], dueAt: number, by: Pick<Principal, 'name'>) {
  return { action, cause, due_at: dueAt, user_name: by.name, approved_by: null, approval_id: null, impact: null }
}

function purposeOf(by: Principal): Purpose {
  return { host: null, vm: null, user: by.name, task: null }
}

/** What a task works with is not even forced away: it would be left half done. */
function requireNoTask(key: KeyReference, users: readonly KeyUser[]): void {
  const tasks = users.filter(({ kind }) => kind === 'task')
  if (tasks.length === 0) return
  throw new ControlPlaneError(
    'in-use',
    `key ${key.keyId} is used by tasks under way: ${tasks.map(({ id, name }) => `${name} ${id}`).join(', ')}. Wait for them or cancel them`,
  )
}

function requireUnused(action: Action, key: KeyReference, users: readonly KeyUser[], sight: Sight): void {
  if (users.length > 0) throw needsForce(action, key, users, [], sight)
}

function needsForce(
  action: Action,
  key: KeyReference,
  users: readonly KeyUser[],
  warnings: readonly string[],
  sight: Sight,
): ControlPlaneError {
  const used =
    users.length === 0 ? [] : [`it is used by ${seenUsersText(users, sight)}, which could not be opened without it`]
  return new ControlPlaneError(
    'in-use',
    `key ${key.keyId} of provider ${key.provider} is not ${action === 'revoke' ? 'revoked' : 'destroyed'}: ${[...used, ...warnings].join('; ')}. ${
      users.length === 0 ? '' : 'Rekey or decrypt those first; '
    }with --force a second user is asked to approve it`,
  )
}

function nothingOrdered(key: KeyReference): ControlPlaneError {
  return new ControlPlaneError(
    'not-found',
    `nothing is ordered for key ${key.keyId} of provider ${key.provider} that could be taken back: see «keys orders»`,
  )
}

function scheduledEvent(row: KeyOrderRow) {
  const by = row.approved_by === null ? row.user_name : `${row.user_name}, approved by ${row.approved_by}`
  const what = row.action === 'revoke' ? 'revoked' : 'destroyed'
  return {
    type: 'kms.crypto.key-order-scheduled' as const,
    provider: row.provider,
    keyId: row.key_id,
    text: `Key ${row.key_id} of provider ${row.provider} is going to be ${what} at ${timeText(row.due_at)} (by ${by}${row.reason === null ? '' : `: «${row.reason}»`}). Until then «keys restore ${row.provider} ${row.key_id}» takes it back`,
    user: row.user_name,
  }
}
