import type { DestroyedRetiredKeys, DestroyRetiredKeys, RetiredKey } from '@cryptvisor/control-plane-api'
import type { KeyRow } from '../../../database/schema.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { findProvider } from '../vms/lookup.ts'
import { referenceOf } from './key-rows.ts'
import type { KeyOrders } from './orders/key-orders.ts'

const dayMs = 86_400_000

/** The most keys that one request destroys; ask again for the others. */
const destroyedAtOnceMax = 10_000

export interface RetiredKeyQuery {
  readonly provider?: string
  readonly olderThanDays?: number
}

type RetiredRow = KeyRow & { readonly due_at: number | null }

/** Keys that wrapped something once and wrap nothing now: they stay, since old backups may need them, until somebody says. */
export class RetiredKeys {
  readonly #work: WorkContext
  readonly #orders: KeyOrders

  constructor(work: WorkContext, orders: KeyOrders) {
    this.#work = work
    this.#orders = orders
  }

  /** The longest retired first; those of whom nobody knows since when at the end. */
  async list(query: RetiredKeyQuery): Promise<RetiredKey[]> {
    const now = this.#work.clock()
    return (await this.#rows(query)).map((row) => ({
      ...referenceOf(row),
      owner: { kind: row.owner_kind, id: row.owner_id, name: row.owner_name },
      createdAt: timeText(row.created_at),
      retiredAt: timeTextOrNull(row.retired_at),
      retiredDays: row.retired_at === null ? null : Math.floor((now - row.retired_at) / dayMs),
      destroyAt: timeTextOrNull(row.due_at),
    }))
  }

  /** Orders the destruction of all that were retired long enough ago. What turns out to be used is left alone. */
  async destroy(request: DestroyRetiredKeys, by: Principal): Promise<DestroyedRetiredKeys> {
    const rows = (await this.#rows(request)).slice(0, destroyedAtOnceMax)
    const outcome = await this.#work.events.transaction(async (transaction, record) => {
      const result = await this.#orders.orderUnused(transaction, rows.map(referenceOf), request, by)
      const [first] = result.orders
      if (first !== undefined) {
        const text = `${result.orders.length} retired keys (older than ${request.olderThanDays} days) are going to be destroyed at ${first.dueAt}; until then «keys restore» takes any of them back. Old backups of disks that were wrapped with them cannot be opened after that`
        await record({ type: 'kms.crypto.key-order-scheduled', provider: first.provider, text, user: by.name })
      }
      return result
    })
    this.#orders.wake()
    return outcome
  }

  async #rows({ provider, olderThanDays }: RetiredKeyQuery): Promise<RetiredRow[]> {
    let found = this.#work.database
      .selectFrom('key')
      .leftJoin('key_order', (join) =>
        join
          .onRef('key_order.provider', '=', 'key.provider')
          .onRef('key_order.key_id', '=', 'key.key_id')
          .on('key_order.ended_at', 'is', null)
          .on('key_order.action', '=', 'destroy'),
      )
      .selectAll('key')
      .select('key_order.due_at')
      .where('key.state', '=', 'retired')
      .orderBy((order) => order.fn.coalesce('key.retired_at', order.val(Number.MAX_SAFE_INTEGER)))
      .orderBy('key.key_id')
    if (provider !== undefined) {
      found = found.where('key.provider', '=', await findProvider(this.#work.database, provider, 'provider'))
    }
    if (olderThanDays !== undefined) {
      const latest = this.#work.clock() - olderThanDays * dayMs
      found = found.where('key.retired_at', '<=', latest)
    }
    return found.execute()
  }
}
