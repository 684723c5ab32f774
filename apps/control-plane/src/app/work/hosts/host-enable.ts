import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { WorkContext } from '../context.ts'
import type { HostKeys } from '../keys/host-keys.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import { findHost } from '../vms/lookup.ts'
import { hostOfTask } from './host-lookup.ts'

/** What enabling encryption on a host remembers. */
export interface HostEnableState {
  readonly hostId: string
  readonly hostName: string
  /** The key that an operator named as host key; `null`: one is made. */
  readonly existing: KeyReference | null
  readonly provider: string | null
  /** Since when it was disabled; `null`: it was not. */
  readonly offAt: number | null
}

/** Makes a host crypto-safe because somebody asks for it; it is given the keys of its cluster then. */
export function hostEnableSaga(
  work: WorkContext,
  hostKeys: HostKeys,
  again: (hostId: string) => void,
): SagaDefinition<HostEnableState> {
  const allow = (hostId: string, offAt: number | null, wantedBy: string | null) =>
    work.database
      .updateTable('host')
      .set({ crypto_off_at: offAt, crypto_off_boot_id: null, crypto_wanted_by: wantedBy })
      .where('id', '=', hostId)
      .execute()
  return {
    type: 'host.crypto-enable',
    steps: [
      {
        name: 'allowing it',
        act: async ({ state, user }) => {
          await allow(state.hostId, null, user)
          return undefined
        },
        undo: async ({ state }) => {
          await allow(state.hostId, state.offAt, null)
        },
      },
      {
        name: 'making the host crypto-safe',
        act: async ({ state, user, taskId, cancelling }) => {
          await hostOfTask(work, await findHost(work.database, state.hostId), cancelling)
          const wish = {
            ...(state.existing === null ? {} : { existing: state.existing }),
            ...(state.provider === null ? {} : { provider: state.provider }),
          }
          await hostKeys.makeSafe(state.hostId, { host: state.hostName, vm: null, user, task: taskId }, wish)
          return undefined
        },
        undo: ({ taskId }) => hostKeys.giveUp(taskId),
      },
      {
        name: 'handing it the keys of its cluster',
        forward: true,
        act: async ({ state }) => {
          again(state.hostId)
          return undefined
        },
      },
    ],
    failed: async (_transaction, record, { state, user }, failure) => {
      const text = `Host ${state.hostName} was not made crypto-safe: ${failure.message}`
      await record({ type: 'host.crypto.enable-failed', host: state.hostName, text, user })
    },
  }
}
