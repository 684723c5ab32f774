import type { KeyUsageGraph } from '@cryptvisor/control-plane-api'
import { Approvals } from '../../approvals/approvals.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { noSuchObject } from '../../inventory/object-paths.ts'
import { Sight } from '../../permissions/sight.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { findProvider, findVm } from '../vms/lookup.ts'
import type { Kms } from './kms.ts'
import { KeyOrders } from './orders/key-orders.ts'
import { OrderWorker } from './orders/order-worker.ts'
import { KeyOrphans } from './orphans/key-orphans.ts'
import { RetiredKeys } from './retired-keys.ts'
import { keyUsageGraph } from './usage/key-usage.ts'

/** What a usage graph is about; nothing: everything. Names or IDs. */
export interface UsageSubject {
  readonly provider?: string
  /** Together with `provider`. */
  readonly keyId?: string
  readonly vm?: string
  readonly host?: string
}

/** The lives of keys: who uses them, which nobody knows, and how they are revoked and destroyed. */
export class KeyLives {
  readonly approvals: Approvals
  readonly orders: KeyOrders
  readonly retired: RetiredKeys
  readonly orphans: KeyOrphans
  readonly #work: WorkContext
  readonly #worker: OrderWorker

  constructor(work: WorkContext, kms: Kms, destroyAfterMs: number, principalOf: (user: string) => Promise<Principal>) {
    this.#work = work
    this.#worker = new OrderWorker(work)
    this.approvals = new Approvals(work, principalOf)
    this.orders = new KeyOrders(work, kms, this.approvals, this.#worker, destroyAfterMs)
    this.retired = new RetiredKeys(work, this.orders)
    this.orphans = new KeyOrphans(work, kms)
  }

  /** Takes up what was ordered before. */
  start(): void {
    this.#worker.start()
  }

  /** Resolves when nothing is carried out any more. */
  async stopped(): Promise<void> {
    await this.#worker.stopped()
  }

  /** Who needs which keys. Throws `not-found`, `invalid`. */
  async usage({ provider, keyId, vm, host }: UsageSubject, by: Principal): Promise<KeyUsageGraph> {
    const { database } = this.#work
    const sight = await Sight.of(database, by)
    const vmId = vm === undefined ? undefined : (await findVm(database, vm)).row.id
    const hostId = host === undefined ? undefined : await this.#hostId(host)
    if (vmId !== undefined && !sight.sees('vm', vmId)) throw noSuchObject({ kind: 'vm', name: vm ?? '' }, 'vm')
    if (hostId !== undefined && !sight.sees('host', hostId))
      throw noSuchObject({ kind: 'host', name: host ?? '' }, 'host')
    if (keyId !== undefined && provider === undefined) {
      throw new ControlPlaneError('invalid', 'provider: say whose key it is', { field: 'provider' })
    }
    const named = provider === undefined ? undefined : await findProvider(database, provider, 'provider')
    const query = {
      ...(named === undefined
        ? {}
        : keyId === undefined
          ? { provider: named }
          : { keys: [{ provider: named, keyId }] }),
      ...(vmId === undefined ? {} : { vmId }),
      ...(hostId === undefined ? {} : { hostId }),
    }
    return keyUsageGraph(database, query, sight)
  }

  async #hostId(nameOrId: string): Promise<string> {
    const row = await this.#work.database
      .selectFrom('host')
      .select('id')
      .where((where) => where.or([where('id', '=', nameOrId), where('name', '=', nameOrId)]))
      .executeTakeFirst()
    if (row !== undefined) return row.id
    throw new ControlPlaneError('not-found', `there is no host ${nameOrId}: see «host list»`, { field: 'host' })
  }
}
