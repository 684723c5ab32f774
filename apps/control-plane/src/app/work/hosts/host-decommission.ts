import type { WorkContext } from '../context.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import { findHost } from '../vms/lookup.ts'
import { recordExposed } from './exposed-keys.ts'
import { type DepartureState, departureEvents, forgettingStep } from './host-departure.ts'
import { chooseNoPersistence } from './kept-keys.ts'
import { retireHostKey } from './retire-host-key.ts'

/**
 * Takes a host out of service: it forgets everything, its certificate is worthless from then on and its session ends; it stays
 * in the inventory, marked, until it is removed or enrolled again.
 */
export function hostDecommissionSaga(
  work: WorkContext,
  again: (hostId: string) => void,
): SagaDefinition<DepartureState> {
  return {
    type: 'host.decommission',
    steps: [
      forgettingStep(work, again),
      {
        name: 'revoking its certificate',
        forward: true,
        act: async ({ state }) => {
          await work.database.transaction().execute(async (transaction) => {
            const host = await findHost(transaction, state.hostId)
            if (host.decommissioned_at !== null) return
            await retireHostKey(transaction, host.id, work.clock())
            await chooseNoPersistence(transaction, host.id)
            await recordExposed(transaction, host, state.exposed, 'decommissioned', work.clock())
            await transaction
              .updateTable('host')
              .set({
                certificate_serial: revokedSerial(host.id),
                next_certificate_serial: null,
                next_certificate_expires_at: null,
                decommissioned_at: work.clock(),
                leaving_task_id: null,
                crypto_wanted_by: null,
              })
              .where('id', '=', host.id)
              .execute()
          })
          work.hostConnections.end(state.hostId, 'it was decommissioned')
          return undefined
        },
      },
    ],
    succeed: async (_transaction, record, { state, user }) => {
      const text = `Host ${state.hostName} was decommissioned: its certificate is revoked. Core dumps that its host key sealed stay readable as long as its provider has that key`
      await record({ type: 'host.decommissioned', host: state.hostName, text, user })
      for (const event of departureEvents(state, user)) await record(event)
    },
  }
}

/** No certificate has it: serial numbers are hexadecimal. */
const revokedSerial = (hostId: string) => `revoked:${hostId}`
