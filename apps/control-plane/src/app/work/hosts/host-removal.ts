import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { Transaction } from 'kysely'
import type { HostRow, Schema } from '../../../database/schema.ts'
import { forgetPermissions } from '../../permissions/permission-store.ts'
import type { WorkContext } from '../context.ts'
import type { RecordWith, SagaDefinition } from '../sagas/definition.ts'
import { recordExposed } from './exposed-keys.ts'
import { forgetEverything, type GivenHost, givenTo } from './host-leaving.ts'
import { keptText, keptUntil } from './kept-keys.ts'
import { checkHostRemoval } from './removal-check.ts'

/** What taking a host out for good remembers: the host is not in the inventory any more. */
export interface HostRemovalState {
  readonly host: GivenHost & Pick<HostRow, 'name' | 'keys_kept_days'>
  readonly forgotten: readonly KeyReference[]
  readonly exposed: readonly KeyReference[]
}

/** What is remembered of a host that is about to be removed. */
export function removalOf(host: HostRow): HostRemovalState {
  const { id, name, cluster_id, last_seen_at, crypto_off_boot_id, host_key_provider, host_key_id, keys_kept_days } =
    host
  return {
    host: { id, name, cluster_id, last_seen_at, crypto_off_boot_id, host_key_provider, host_key_id, keys_kept_days },
    forgotten: [],
    exposed: [],
  }
}

/**
 * Takes a host out of the inventory, in the transaction that writes the task: from now on its certificate is worthless, and
 * it gets no key. Throws `in-use` while VMs are on it.
 */
export async function takeOut(
  transaction: Transaction<Schema>,
  record: RecordWith,
  host: Pick<HostRow, 'id' | 'name'>,
  user: string,
  now: number,
): Promise<void> {
  await checkHostRemoval(transaction, host)
  await transaction.deleteFrom('host').where('id', '=', host.id).execute()
  await forgetPermissions(transaction, 'host', host.id)
  // Nothing uses its host key any more, so that its provider can be removed.
  await transaction
    .updateTable('key')
    .set({ state: 'retired', retired_at: now })
    .where('owner_kind', '=', 'host')
    .where('owner_id', '=', host.id)
    .where('state', '=', 'current')
    .execute()
  const text = `${host.name} was removed and its certificate revoked`
  await record({ type: 'host.removed', host: host.name, text, user })
}

/**
 * Has a host that was taken out forget its keys, ends its session, and puts on record which keys it did not confirm. When the
 * control plane was killed in between the host cannot come back, so all that it was given is exposed. `leaves` is told that
 * nobody gives it keys any more.
 */
export function hostRemovalSaga(work: WorkContext, leaves: (hostId: string) => void): SagaDefinition<HostRemovalState> {
  return {
    type: 'host.remove',
    steps: [
      {
        name: 'having the host forget all keys',
        forward: true,
        act: async ({ state: { host } }) => {
          leaves(host.id)
          // A host that is slow on purpose cannot put that off.
          const end = () => work.hostConnections.end(host.id, 'it was removed')
          const timer = setTimeout(end, work.timings.hostLeaveMs)
          try {
            const given = await givenTo(work, host, null)
            const left = await forgetEverything(work, host.id)
            // What it has kept across restarts it has erased before it forgot the rest.
            return left === null ? { exposed: given } : { ...left, host: { ...host, keys_kept_days: null } }
          } finally {
            clearTimeout(timer)
            end()
          }
        },
      },
    ],
    succeed: async (transaction, record, { state: { host, forgotten, exposed }, user }) => {
      if (forgotten.length > 0) {
        const text = `${host.name} forgot ${forgotten.length} ${forgotten.length === 1 ? 'key' : 'keys'} and confirmed it`
        await record({ type: 'host.crypto.keys-forgotten', host: host.name, text, user })
      }
      await recordExposed(transaction, host, exposed, 'removed', work.clock())
      const kept = keptText(keptUntil(host, work.clock()))
      for (const { provider, keyId } of exposed) {
        const text = `${host.name} was removed and did not confirm that it forgot key ${keyId} of provider ${provider}: stop its agent, or decrypt and encrypt anew what the key protects${kept}`
        await record({ type: 'host.crypto.key-exposed', host: host.name, provider, keyId, text, user })
      }
    },
  }
}
