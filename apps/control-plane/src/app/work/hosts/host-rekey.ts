import type { KeyReference } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import type { HostRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyReference, keyText } from '../../key-reference.ts'
import type { WorkContext } from '../context.ts'
import { type HostKeys, isCryptoSafe } from '../keys/host-keys.ts'
import { pendingKeysOfTask, referenceOf, setKeyState, unusedKeys } from '../keys/key-rows.ts'
import type { Purpose } from '../keys/kms.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import { findHost } from '../vms/lookup.ts'
import type { HandOver } from './hand-over.ts'
import { hostOfTask } from './host-lookup.ts'

/** What a host rekey remembers. */
export interface HostRekeyState {
  readonly hostId: string
  readonly hostName: string
  /** The key that an operator named; `null`: one is made. */
  readonly existing: KeyReference | null
  /** Who makes it; `null`: the default provider. */
  readonly provider: string | null
  /** The host key until then. */
  readonly old: KeyReference | null
  readonly key: KeyReference | null
}

type Run = SagaRun<HostRekeyState>

/**
 * Gives a host another host key. The old one stays until the host has confirmed that the new one is its host key; then it is
 * retired: it stays at its provider, since core dumps that were sealed with it need it.
 */
export function hostRekeySaga(
  work: WorkContext,
  hostKeys: HostKeys,
  handOver: HandOver,
): SagaDefinition<HostRekeyState> {
  const purposeOf = (run: Run): Purpose => ({
    host: run.state.hostName,
    vm: null,
    user: run.user,
    task: run.taskId,
  })
  const wishOf = ({ existing, provider }: HostRekeyState) => ({
    ...(existing === null ? {} : { existing }),
    ...(provider === null ? {} : { provider }),
  })
  const keyOf = async (run: Run) => run.state.key ?? (await keyOnRecord(work, run.taskId))
  return {
    type: 'host.rekey',
    steps: [
      {
        name: 'making the new host key',
        act: async (run) => {
          const host = await hostToRekey(work, run.state)
          const key = (await keyOf(run)) ?? (await hostKeys.takeNew(host, purposeOf(run), wishOf(run.state)))
          await run.save({ key })
          await hostKeys.makeReady(host, key, purposeOf(run))
          return { key }
        },
        undo: async (run) => {
          const key = await keyOf(run)
          if (key === null) return
          const host = await findHostOrNull(work, run.state.hostId)
          await hostKeys.discard(host ?? { id: run.state.hostId }, key, wishOf(run.state))
        },
      },
      {
        name: 'handing the new host key over',
        act: async (run) => {
          const host = await hostToRekey(work, run.state)
          await hostOfTask(work, host, run.cancelling)
          await hostKeys.handOver(host, requireKey(run.state), purposeOf(run))
          return undefined
        },
      },
      {
        name: 'making it the host key',
        act: async (run) => {
          const host = await hostToRekey(work, run.state)
          const key = requireKey(run.state)
          const connection = await hostOfTask(work, host, run.cancelling)
          await handOver.setHostKey(host, key, purposeOf(run))
          const { hostKey } = await connection.client.host().catch((error: unknown) => {
            throw unconfirmed(work, host, error)
          })
          if (hostKey === null || keyText(hostKey) !== keyText(key)) throw unconfirmed(work, host, null)
          await change(work, run.state.hostId, run.state.old, key)
          return undefined
        },
        undo: async (run) => {
          const { hostId, old } = run.state
          const key = await keyOf(run)
          const host = await findHostOrNull(work, hostId)
          if (host === null || key === null || old === null) return
          const current = keyReference(host.host_key_provider, host.host_key_id)
          if (current !== null && keyText(current) === keyText(key)) await change(work, hostId, key, old, 'pending')
          // One that is not connected is told when it comes.
          const connection = work.hostConnections.get(hostId)
          await connection?.client.setHostKey(old).catch((error: unknown) => {
            work.stopping.throwIfAborted()
            work.log.warn({ err: error, host: hostId }, 'a host did not take its old host key back yet')
          })
        },
      },
      {
        name: 'having the host forget the old one',
        forward: true,
        act: async (run) => {
          const { old, hostId } = run.state
          // Where it is not connected, it is told when it comes.
          if (old !== null) await handOver.forgetOn(hostId, await unusedKeys(work.database, [old]))
          return undefined
        },
      },
    ],
    succeed: async (_transaction, record, { state, user }) => {
      const before = state.old === null ? '' : `, not ${state.old.keyId} of provider ${state.old.provider} any more`
      await record({
        type: 'host.crypto.host-key-changed',
        host: state.hostName,
        ...requireKey(state),
        text: `Host ${state.hostName} has the host key ${requireKey(state).keyId} of provider ${requireKey(state).provider}${before}. Core dumps that the old one sealed need it still`,
        user,
      })
    },
    failed: async (_transaction, record, { state, user }, failure) => {
      await record({
        type: 'host.crypto.host-key-change-failed',
        host: state.hostName,
        provider: state.old?.provider ?? null,
        keyId: state.old?.keyId ?? null,
        text: `Host ${state.hostName} keeps the host key that it had: ${failure.message}`,
        user,
      })
    },
  }
}

/** Makes `key` the host key on record; `old` becomes `oldState`. Twice does the same. */
async function change(
  work: WorkContext,
  hostId: string,
  old: KeyReference | null,
  key: KeyReference,
  oldState: 'retired' | 'pending' = 'retired',
): Promise<void> {
  await work.database.transaction().execute(async (transaction) => {
    await transaction
      .updateTable('host')
      .set({ host_key_provider: key.provider, host_key_id: key.keyId })
      .where('id', '=', hostId)
      .execute()
    await setKeyState(transaction, key, 'current', work.clock())
    if (old !== null && keyText(old) !== keyText(key)) await setKeyState(transaction, old, oldState, work.clock())
  })
}

async function keyOnRecord(work: WorkContext, taskId: string): Promise<KeyReference | null> {
  const [row] = await pendingKeysOfTask(work.database, taskId)
  return row === undefined ? null : referenceOf(row)
}

/** The host may have been removed or disabled meanwhile. */
async function hostToRekey(work: WorkContext, { hostId, hostName }: HostRekeyState): Promise<HostRow> {
  const host = await findHost(work.database, hostId)
  if (isCryptoSafe(host)) return host
  throw new ControlPlaneError('host-incapable', `host ${hostName} is not crypto-safe any more`, { field: 'host' })
}

async function findHostOrNull(work: WorkContext, id: string): Promise<HostRow | null> {
  return (await work.database.selectFrom('host').selectAll().where('id', '=', id).executeTakeFirst()) ?? null
}

function requireKey({ key }: HostRekeyState): KeyReference {
  if (key === null) throw new Error('the new host key is not on record')
  return key
}

function unconfirmed(work: WorkContext, host: HostRow, cause: unknown): ControlPlaneError {
  work.stopping.throwIfAborted()
  const why = cause instanceof RestClientError ? `: ${cause.message}` : ''
  return new ControlPlaneError(
    'agent-failed',
    `host ${host.name} did not confirm its new host key${why}. See «host list» and the log of its agent, and try again`,
    { cause },
  )
}
