import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { distinctKeys, keyText } from '../../key-reference.ts'
import type { WorkContext } from '../context.ts'
import { type HandOver, handOverConcurrencyMax } from '../hosts/hand-over.ts'
import { inParallel } from '../in-parallel.ts'
import type { Kms, Purpose } from '../keys/kms.ts'
import { Outages } from '../keys/outages.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import type { LockStates } from './lock-states.ts'
import { authorityOf, keysOf, readVms, type VmRecord } from './vm-store.ts'

/** What a task that unlocks many VMs remembers. */
export interface UnlockAllState {
  /** `null`: of all hosts. */
  readonly hostId: string | null
  readonly unlocked: number
  readonly locked: number
}

type Failures = ReadonlyMap<string, ControlPlaneError>

/**
 * Unlocks all VMs that are locked, or those of a host: each key is fetched once for each host, however many VMs need it, and a
 * provider that does not answer is not asked for the next key. It may be cut off and begun again at any time.
 */
export function unlockAllSaga(
  work: WorkContext,
  kms: Kms,
  handOver: HandOver,
  locks: LockStates,
): SagaDefinition<UnlockAllState> {
  return {
    type: 'vm.unlock-all',
    steps: [
      {
        name: 'unlocking VMs',
        act: async (run) => {
          const selection = run.state.hostId === null ? {} : { hostId: run.state.hostId }
          const vms = (await readVms(work.database, selection)).filter(
            ({ row }) => row.lock_state === 'locked' && row.task_id === null,
          )
          let doneCount = 0
          for (const ofHost of Map.groupBy(vms, ({ row }) => row.host_id).values()) {
            run.cancelling.throwIfAborted()
            await unlockOnHost(work, { kms, handOver, locks }, ofHost, run)
            doneCount += ofHost.length
            run.progress(doneCount, vms.length)
          }
          const ids = new Set(vms.map(({ row }) => row.id))
          const after = (await readVms(work.database, selection)).filter(({ row }) => ids.has(row.id))
          const unlocked = after.filter(({ row }) => row.lock_state === 'unlocked').length
          return { unlocked, locked: after.length - unlocked }
        },
      },
    ],
  }
}

async function unlockOnHost(
  work: WorkContext,
  { kms, handOver, locks }: { readonly kms: Kms; readonly handOver: HandOver; readonly locks: LockStates },
  vms: readonly VmRecord[],
  run: SagaRun<UnlockAllState>,
): Promise<void> {
  const [first] = vms
  const connection = first === undefined ? null : work.hostConnections.get(first.row.host_id)
  if (first === undefined || connection === null) return
  const host = { name: first.hostName }
  const purpose: Purpose = { host: host.name, vm: null, user: run.user, task: run.taskId, outages: new Outages() }
  const failures = new Map<string, ControlPlaneError>()
  const unreachable = new Map<string, ControlPlaneError>()
  try {
    const needed = distinctKeys(vms.flatMap((vm) => keysOf(authorityOf(vm))))
    const held = await handOver.heldKeys(host, connection, needed, purpose)
    const missing = needed.filter((key) => !held.has(keyText(key)))
    await inParallel(missing, handOverConcurrencyMax, async (key) => {
      try {
        const cause = unreachable.get(key.provider)
        if (cause !== undefined) throw cause
        using kek = await kms.fetch(key, purpose)
        await handOver.give(host, connection, key, kek, purpose)
      } catch (error) {
        if (!(error instanceof ControlPlaneError)) throw error
        failures.set(keyText(key), error)
        if (error.code === 'kms-unreachable') unreachable.set(key.provider, error)
      }
    })
  } catch (error) {
    if (!(error instanceof ControlPlaneError)) throw error
    for (const vm of vms) for (const key of keysOf(authorityOf(vm))) failures.set(keyText(key), error)
  }
  await inParallel(vms, handOverConcurrencyMax, (vm) => ask(work, locks, vm, failures, run))
}

async function ask(
  work: WorkContext,
  locks: LockStates,
  vm: VmRecord,
  failures: Failures,
  run: SagaRun<UnlockAllState>,
): Promise<void> {
  const connection = work.hostConnections.get(vm.row.host_id)
  if (connection === null) return
  try {
    await locks.ask(connection, vm, run.user, (missing) => {
      return missing.map((key) => failures.get(keyText(key))).find((failure) => failure !== undefined) ?? null
    })
  } catch (error) {
    work.stopping.throwIfAborted()
    if (!(error instanceof RestClientError)) throw error
    work.log.warn({ err: error, vm: vm.row.id }, 'a host did not say whether a VM opens')
  }
}
