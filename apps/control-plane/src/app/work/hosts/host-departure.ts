import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { Transaction } from 'kysely'
import type { Schema } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { NewEvent } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import type { SagaStep } from '../sagas/definition.ts'
import { findHost } from '../vms/lookup.ts'
import { forgetEverything, givenTo } from './host-leaving.ts'
import { hostBack } from './host-lookup.ts'
import { keptText, keptUntil } from './kept-keys.ts'
import { checkHostRemoval } from './removal-check.ts'

/** What a task that takes a host out of its cluster remembers. */
export interface DepartureState {
  readonly hostId: string
  readonly hostName: string
  /** The cluster that it leaves. */
  readonly cluster: string
  /** Whether it may leave although it cannot confirm that it forgot its keys. */
  readonly acceptExposure: boolean
  /** When the task began: then it is waited for after a restart of the control plane. */
  readonly wasConnected: boolean
  readonly forgotten: readonly KeyReference[]
  readonly exposed: readonly KeyReference[]
  /** Until when at the latest it opens what it kept across restarts; null: nothing, missing: nobody has looked yet. */
  readonly keptUntil?: number | null
}

/** In the transaction that writes the task: from now on the host gets no key. Throws `in-use`, `already-exists`. */
export async function claimDeparture(transaction: Transaction<Schema>, hostId: string, taskId: string): Promise<void> {
  const host = await findHost(transaction, hostId)
  await checkHostRemoval(transaction, host)
  if (host.leaving_task_id !== null) {
    throw new ControlPlaneError(
      'in-use',
      `host ${host.name} is leaving its cluster already: task ${host.leaving_task_id}`,
    )
  }
  await transaction.updateTable('host').set({ leaving_task_id: taskId }).where('id', '=', hostId).execute()
}

/** The step in which a host forgets everything, and says what it still holds. Undone, it is given its keys again. */
export function forgettingStep(work: WorkContext, again: (hostId: string) => void): SagaStep<DepartureState> {
  return {
    name: 'having the host forget all keys',
    act: async (run) => {
      const host = await findHost(work.database, run.state.hostId)
      if (run.state.wasConnected) await hostBack(work, host, run.cancelling)
      const left = await forgetEverything(work, host.id)
      const { forgotten, exposed } = left ?? { forgotten: [], exposed: await givenTo(work, host, run.state.cluster) }
      if (exposed.length > 0 && !run.state.acceptExposure) throw refusal(host.name, exposed)
      const after = await findHost(work.database, host.id)
      return {
        forgotten: [...run.state.forgotten, ...forgotten],
        exposed,
        keptUntil: keptUntil(after, work.clock()),
      }
    },
    undo: async ({ state }) => {
      await stays(work.database, state.hostId)
      again(state.hostId)
    },
  }
}

/** The host is where it was. */
async function stays(database: Database, hostId: string): Promise<void> {
  await database.updateTable('host').set({ leaving_task_id: null }).where('id', '=', hostId).execute()
}

/** What is told of the keys of a host that has left. */
export function departureEvents(
  { hostName, cluster, forgotten, exposed, keptUntil: until }: DepartureState,
  user: string,
): NewEvent[] {
  const events: NewEvent[] = []
  if (forgotten.length > 0) {
    const text = `${hostName} forgot ${forgotten.length} ${forgotten.length === 1 ? 'key' : 'keys'} of cluster ${cluster} and confirmed it`
    events.push({ type: 'host.crypto.keys-forgotten', host: hostName, text, user })
  }
  for (const { provider, keyId } of exposed) {
    const text = `${hostName} left cluster ${cluster} and did not confirm that it forgot key ${keyId} of provider ${provider}: stop its agent, and rekey what the key protects (see «host exposed-keys»)${keptText(until)}`
    events.push({ type: 'host.crypto.key-exposed', host: hostName, provider, keyId, text, user })
  }
  return events
}

function refusal(host: string, exposed: readonly KeyReference[]): ControlPlaneError {
  return new ControlPlaneError(
    'host-disconnected',
    `host ${host} did not confirm that it forgot ${exposed.length} ${exposed.length === 1 ? 'key' : 'keys'}: start its agent and try again, or accept with --accept-exposure that whoever has the machine may have them; they are then listed («host exposed-keys»), and what they protect should be rekeyed`,
  )
}
