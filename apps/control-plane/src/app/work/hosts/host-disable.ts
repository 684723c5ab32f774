import type { HostRow } from '../../../database/schema.ts'
import type { Database, WorkContext } from '../context.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import { forgetEverything } from './host-leaving.ts'
import { hostBack } from './host-lookup.ts'
import { chooseNoPersistence } from './kept-keys.ts'
import { checkNoEncryptedVms } from './removal-check.ts'
import { retireHostKey } from './retire-host-key.ts'

/** What disabling encryption on a host remembers. */
export interface HostDisableState {
  readonly hostId: string
  readonly hostName: string
  /** When the task began: then it is waited for after a restart of the control plane. */
  readonly wasConnected: boolean
  /** How many keys it forgot and confirmed; `null`: it did not confirm that it holds none. */
  readonly forgotten: number | null
}

/**
 * Disables encryption on a host: it gets no key any more, and forgets those that it has. One that does not confirm that is
 * `pendingIncapable` until it connects and does: what it keeps across restarts, a new start does not end.
 */
export function hostDisableSaga(work: WorkContext, again: (hostId: string) => void): SagaDefinition<HostDisableState> {
  return {
    type: 'host.crypto-disable',
    steps: [
      {
        name: 'giving it no more keys',
        act: async ({ state }) => {
          await work.database.transaction().execute(async (transaction) => {
            await checkNoEncryptedVms(transaction, { id: state.hostId, name: state.hostName })
            await switchOff(transaction, state.hostId, work.clock())
          })
          return undefined
        },
        undo: async ({ state }) => {
          await work.database
            .updateTable('host')
            .set({ crypto_off_at: null, crypto_off_boot_id: null })
            .where('id', '=', state.hostId)
            .execute()
        },
      },
      {
        name: 'having it forget its keys',
        forward: true,
        act: async ({ state, cancelling }) => {
          if (state.wasConnected) await hostBack(work, { id: state.hostId, name: state.hostName }, cancelling)
          const leaving = await forgetEverything(work, state.hostId)
          await work.database.transaction().execute(async (transaction) => {
            await retireHostKey(transaction, state.hostId, work.clock())
            await chooseNoPersistence(transaction, state.hostId)
            if (leaving !== null && leaving.exposed.length === 0) await confirmOff(transaction, state.hostId)
          })
          if (leaving !== null && leaving.exposed.length === 0) return { forgotten: leaving.forgotten.length }
          // It is told again for as long as it is connected, and when it comes again.
          again(state.hostId)
          return { forgotten: null }
        },
      },
    ],
    succeed: async (_transaction, record, { state, user }) => {
      const text =
        state.forgotten === null
          ? `Encryption is disabled on host ${state.hostName}, which did not confirm that it forgot its keys: it is pendingIncapable until it connects again, and is told so once more`
          : `Encryption is disabled on host ${state.hostName}, which forgot ${state.forgotten} ${state.forgotten === 1 ? 'key' : 'keys'} and confirmed it`
      await record({ type: 'host.crypto.disabled', host: state.hostName, text, user })
    },
  }
}

/** Which start of its agent holds keys is known by its boot ID; without one it was never connected. */
async function switchOff(database: Database, hostId: string, now: number): Promise<void> {
  await database
    .updateTable('host')
    .set(({ ref }) => ({
      crypto_off_at: now,
      crypto_off_boot_id: ref('boot_id'),
      crypto_wanted_by: null,
    }))
    .where('id', '=', hostId)
    .execute()
}

/** The host holds no key any more: it is incapable from now on, not only soon. */
export async function confirmOff(database: Database, hostId: string): Promise<void> {
  await database.updateTable('host').set({ crypto_off_boot_id: null }).where('id', '=', hostId).execute()
}

/** Whether a disabled host may still hold keys. */
export function isPendingIncapable(host: Pick<HostRow, 'crypto_off_at' | 'crypto_off_boot_id'>): boolean {
  return host.crypto_off_at !== null && host.crypto_off_boot_id !== null
}
