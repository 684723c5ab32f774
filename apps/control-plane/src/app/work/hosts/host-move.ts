import type { WorkContext } from '../context.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import { findHost } from '../vms/lookup.ts'
import { recordExposed } from './exposed-keys.ts'
import { type DepartureState, departureEvents, forgettingStep } from './host-departure.ts'
import { chooseNoPersistence } from './kept-keys.ts'
import { checkHostRemoval } from './removal-check.ts'
import { retireHostKey } from './retire-host-key.ts'

/** What moving a host to another cluster remembers. */
export interface HostMoveState extends DepartureState {
  readonly toId: string
  readonly to: string
}

/**
 * Moves a host to another cluster: it forgets the keys of the old one, its host key too, confirms that, and gets those of the
 * new one, with a new host key.
 */
export function hostMoveSaga(work: WorkContext, again: (hostId: string) => void): SagaDefinition<HostMoveState> {
  return {
    type: 'host.move',
    steps: [
      forgettingStep(work, again),
      {
        name: 'moving it',
        forward: true,
        act: async ({ state, user }) => {
          await work.database.transaction().execute(async (transaction) => {
            const host = await findHost(transaction, state.hostId)
            if (host.cluster_id === state.toId) return
            await checkHostRemoval(transaction, host)
            const wasSafe = host.host_key_id !== null
            await retireHostKey(transaction, host.id, work.clock())
            await chooseNoPersistence(transaction, host.id)
            await recordExposed(transaction, host, state.exposed, 'moved', work.clock())
            await transaction
              .updateTable('host')
              .set({
                cluster_id: state.toId,
                leaving_task_id: null,
                crypto_wanted_by: wasSafe ? user : host.crypto_wanted_by,
              })
              .where('id', '=', host.id)
              .execute()
          })
          return undefined
        },
      },
      {
        name: 'handing it the keys of its new cluster',
        forward: true,
        act: async ({ state }) => {
          again(state.hostId)
          return undefined
        },
      },
    ],
    succeed: async (_transaction, record, { state, user }) => {
      const text = `Host ${state.hostName} was moved from cluster ${state.cluster} to cluster ${state.to}`
      await record({ type: 'host.moved', host: state.hostName, text, user })
      for (const event of departureEvents(state, user)) await record(event)
    },
  }
}
