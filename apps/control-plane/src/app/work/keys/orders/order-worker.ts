import type { Impact } from '@cryptvisor/control-plane-api'
import { KeyProviderError } from '@cryptvisor/key-provider'
import type { KeyOrderRow } from '../../../../database/key-life-rows.ts'
import { grownBy, impactOf, usersText } from '../../../approvals/impact.ts'
import { ControlPlaneError } from '../../../control-plane-error.ts'
import { keyText } from '../../../key-reference.ts'
import { pause } from '../../../pause.ts'
import type { NewEvent } from '../../../ports.ts'
import { isOnHold } from '../../../system/installation.ts'
import type { WorkContext } from '../../context.ts'
import { KeyedLock } from '../../keyed-lock.ts'
import { retryDelayMs } from '../../retry-delay.ts'
import { referenceOf, setKeyState } from '../key-rows.ts'
import { Outages } from '../outages.ts'
import { destroyAtProvider, revokeAtProvider } from '../provider-destroy.ts'
import { keyUsers } from '../usage/key-usage.ts'
import { takeFromProvider } from '../wrapping/wrapping-rows.ts'
import { updateOrder } from './order-store.ts'

/** How long nobody looks when nothing is due: the clock may be set meanwhile. */
const lookMsMax = 60_000

/**
 * Carries out what was ordered for keys when it is due, also after a restart. What uses the key is looked up again
 * first; when that is more than what was approved, the order is refused.
 */
export class OrderWorker {
  readonly #work: WorkContext
  readonly #lock = new KeyedLock()
  readonly #outages = new Outages()
  #loop: Promise<void> = Promise.resolve()
  #woken = new AbortController()

  constructor(work: WorkContext) {
    this.#work = work
  }

  start(): void {
    this.#loop = this.#run()
  }

  async stopped(): Promise<void> {
    await this.#loop
  }

  /** There is something new to look at. */
  wake(): void {
    this.#woken.abort()
  }

  /** Lets nobody else touch the key's order meanwhile. */
  alone<Result>(row: KeyOrderRow, act: () => Promise<Result>): Promise<Result> {
    return this.#lock.run(keyText(referenceOf(row)), act)
  }

  /** Carries one order out if it is due; whether it is over then. */
  async attempt(id: string): Promise<boolean> {
    const row = await this.#row(id)
    if (row === undefined || row.ended_at !== null) return true
    if (row.due_at > this.#work.clock()) return true
    // After a restore it is not known yet what uses keys: it waits.
    if (await isOnHold(this.#work.database)) return false
    return this.alone(row, async () => {
      const current = await this.#row(id)
      if (current === undefined || current.ended_at !== null) return true
      if (current.state === 'scheduled' && !(await this.#take(current))) return true
      return this.#carryOut(current)
    })
  }

  #row(id: string): Promise<KeyOrderRow | undefined> {
    return this.#work.database.selectFrom('key_order').selectAll().where('id', '=', id).executeTakeFirst()
  }

  async #run(): Promise<void> {
    const { stopping, timings } = this.#work
    let failureCount = 0
    while (!stopping.aborted) {
      this.#woken = new AbortController()
      let waitMs: number
      try {
        const failed = await this.#round()
        failureCount = failed ? failureCount + 1 : 0
        waitMs = failed ? retryDelayMs(timings, failureCount - 1) : await this.#quietMs()
      } catch (error) {
        if (stopping.aborted) return
        this.#work.log.error({ err: error }, 'what is ordered for keys could not be looked at')
        waitMs = retryDelayMs(timings, failureCount++)
      }
      await pause(waitMs, AbortSignal.any([stopping, this.#woken.signal])).catch(() => undefined)
    }
  }

  /** Carries out all that is due; whether something of it failed. */
  async #round(): Promise<boolean> {
    const rows = await this.#work.database
      .selectFrom('key_order')
      .select('id')
      .where('ended_at', 'is', null)
      .where('due_at', '<=', this.#work.clock())
      .orderBy('due_at')
      .execute()
    let failed = false
    for (const { id } of rows) {
      this.#work.stopping.throwIfAborted()
      if (!(await this.attempt(id))) failed = true
    }
    return failed
  }

  async #quietMs(): Promise<number> {
    const next = await this.#work.database
      .selectFrom('key_order')
      .select((select) => select.fn.min('due_at').as('due_at'))
      .where('ended_at', 'is', null)
      .executeTakeFirst()
    const dueAt = next?.due_at ?? null
    return dueAt === null ? lookMsMax : Math.min(lookMsMax, Math.max(1, dueAt - this.#work.clock()))
  }

  /** From here on there is no way back; `false`: more uses the key than may, and the order is over. */
  async #take(row: KeyOrderRow): Promise<boolean> {
    return this.#work.events.transaction(async (transaction, record) => {
      const key = referenceOf(row)
      const users = await keyUsers(transaction, { keys: [key] })
      // Written by us from an `Impact`.
      const approved = row.impact === null ? impactOf([key], []) : (JSON.parse(row.impact) as Impact)
      const others = grownBy(approved, users)
      if (others.length === 0) {
        await updateOrder(transaction, row.id, { state: 'at-work' })
        return true
      }
      const problem = `it is used by ${usersText(others)}`
      await updateOrder(transaction, row.id, { state: 'refused', problem, ended_at: this.#work.clock() })
      const text = `Key ${row.key_id} of provider ${row.provider} was not ${done[row.action]} as ${row.user_name} asked: ${problem}${row.impact === null ? '' : ', which nobody approved'}`
      await record(this.#event(row, 'kms.crypto.key-order-refused', text))
      return false
    })
  }

  async #carryOut(row: KeyOrderRow): Promise<boolean> {
    const key = referenceOf(row)
    let answer: string | null
    try {
      const provider = await this.#work.keyProviders.get(key.provider)
      const message = `asked for by ${row.user_name}`
      const act = row.action === 'destroy' ? destroyAtProvider : revokeAtProvider
      answer = await act(provider, key, row.cause, message)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      if (!(error instanceof KeyProviderError || error instanceof ControlPlaneError)) throw error
      await this.#failed(row, error)
      return false
    }
    await this.#work.events.transaction(async (transaction, record) => {
      const now = this.#work.clock()
      await updateOrder(transaction, row.id, { state: 'done', problem: null, ended_at: now })
      if (row.action === 'destroy') await setKeyState(transaction, key, 'destroyed', now)
      await takeFromProvider(transaction, key, now)
      const type = row.impact === null ? doneEvents[row.action] : forcedEvents[row.action]
      const by = row.approved_by === null ? row.user_name : `${row.user_name}, approved by ${row.approved_by}`
      const text = `Key ${row.key_id} of provider ${row.provider} was ${done[row.action]} (by ${by}${row.reason === null ? '' : `: «${row.reason}»`}); the provider says: ${answer ?? 'there is no such key'}`
      await record(this.#event(row, type, text))
    })
    this.#outages.ended(row.id)
    return true
  }

  async #failed(row: KeyOrderRow, error: Error): Promise<void> {
    this.#work.log.warn({ err: error, ...referenceOf(row) }, 'what is ordered for a key could not be done yet')
    await updateOrder(this.#work.database, row.id, { problem: error.message })
    if (!this.#outages.begins(row.id)) return
    const text = `Key ${row.key_id} of provider ${row.provider} could not be ${done[row.action]} yet: ${error.message}. It is tried again until it works; «keys restore» gives it up`
    await this.#work.events.record(this.#event(row, 'kms.crypto.key-order-failed', text))
  }

  #event(row: KeyOrderRow, type: NewEvent['type'], text: string): NewEvent {
    return { type, ...referenceOf(row), text, user: row.user_name }
  }
}

const done = { revoke: 'revoked', destroy: 'destroyed' } as const
const doneEvents = { revoke: 'kms.crypto.key-revoked', destroy: 'kms.crypto.key-destroyed' } as const
const forcedEvents = { revoke: 'kms.crypto.key-revoked-in-use', destroy: 'kms.crypto.key-destroyed-in-use' } as const
