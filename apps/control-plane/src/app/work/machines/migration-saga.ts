import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { hostOfTask } from '../hosts/host-lookup.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import { openNow } from '../vms/lock-states.ts'
import { vmOfTask } from '../vms/lookup.ts'
import { authorityOf, keysOf } from '../vms/vm-store.ts'
import { powerRefusal } from './ask-host.ts'
import type { PowerTools } from './power-tools.ts'

/** What giving a VM to another host remembers. */
export interface MigrationState {
  readonly vmId: string
  readonly vmName: string
  readonly fromId: string
  readonly from: string
  /** Where it goes. */
  readonly hostId: string
  readonly hostName: string
}

/** Gives a VM that is off to another host of its cluster, when that one holds its keys and opens every part of it with them. */
export function migrationSaga(tools: PowerTools): SagaDefinition<MigrationState> {
  const { work, handOver } = tools
  return {
    type: 'vm.migrate',
    steps: [
      {
        name: 'having the other host open it',
        act: async ({ state, user, taskId, cancelling }) => {
          const vm = await vmOfTask(work.database, state.vmId)
          const host = { id: state.hostId, name: state.hostName }
          const connection = await hostOfTask(work, host, cancelling)
          const authority = authorityOf(vm)
          const keys = keysOf(authority)
          if (keys.length > 0) {
            const purpose = { host: host.name, vm: vm.row.name, user, task: taskId }
            await handOver.ensureHeld(host, connection, keys, purpose)
          }
          try {
            const { state: lock, reason } = await connection.client.unlock(authority)
            if (lock === 'unlocked') return undefined
            const why = reason?.text ?? 'it does not say why'
            throw new ControlPlaneError('vm-locked', `host ${host.name} cannot open VM ${vm.row.name}: ${why}`)
          } catch (error) {
            throw error instanceof RestClientError ? powerRefusal(host.name, error) : error
          }
        },
      },
    ],
    succeed: async (transaction, record, { state, user }) => {
      await transaction
        .updateTable('vm')
        .set({ host_id: state.hostId, ...openNow })
        .where('id', '=', state.vmId)
        .execute()
      const { vmName, from, hostName } = state
      const text = `VM ${vmName} is on host ${hostName} now, and was on host ${from}`
      await record({ type: 'vm.migrated', vm: vmName, host: hostName, text, user })
    },
    failed: async (_transaction, record, { state, user }, failure) => {
      const { vmName, from, hostName } = state
      const text = `VM ${vmName} stays on host ${from}, and was not given to host ${hostName}: ${failure.message}`
      await record({ type: 'vm.migration-failed', vm: vmName, host: from, text, user })
    },
    ended: async ({ state }) => tools.lookAgain(state.fromId, false),
  }
}
