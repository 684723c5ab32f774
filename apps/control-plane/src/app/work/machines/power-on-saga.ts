import type { MachineStatus } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import { hostOfTask } from '../hosts/host-lookup.ts'
import type { HostKeys } from '../keys/host-keys.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import { openNow } from '../vms/lock-states.ts'
import { vmOfTask } from '../vms/lookup.ts'
import { authorityOf, keysOf } from '../vms/vm-store.ts'
import { askHost, hasAnswered, powerRefusal } from './ask-host.ts'
import { machineOf, nextLease, takeAnswer, takeLease, updateMachine } from './machine-store.ts'
import type { PowerTools } from './power-tools.ts'

/** What powering a VM on remembers. */
export interface PowerOnState {
  readonly vmId: string
  readonly vmName: string
  readonly hostId: string
  readonly hostName: string
  /** Under which the host is asked to start it; `null`: none was taken yet. */
  readonly lease: number | null
  /** Whether the host was, or may have been, asked. */
  readonly asked: boolean
}

/** How a VM is started: its host is given the keys, then the lease, then it is asked; taken back, it does not run under that lease. */
export function powerOnSaga(tools: PowerTools): SagaDefinition<PowerOnState> {
  const { work, handOver, hostKeys } = tools
  return {
    type: 'vm.power-on',
    steps: [
      {
        name: 'seeing to it that its host holds the keys',
        act: async (run) => {
          await bringKeys(work, handOver, hostKeys, run)
          return undefined
        },
        undo: ({ taskId }) => hostKeys.giveUp(taskId),
      },
      { name: 'starting it', act: (run) => start(work, run), undo: (run) => stop(work, run) },
    ],
    succeed: async (transaction, record, { state, user }) => {
      const { vmId, vmName, hostName } = state
      const machine = await machineOf(transaction, vmId)
      const slow = machine?.acceleration === 'tcg' ? ', emulated (no KVM there), which is slow' : ''
      const text = `VM ${vmName} was started on host ${hostName}${slow}`
      await record({ type: 'vm.powered-on', vm: vmName, host: hostName, text, user })
      await transaction.updateTable('vm').set(openNow).where('id', '=', vmId).execute()
    },
    failed: async (_transaction, record, { state, user }, failure) => {
      const { vmName, hostName } = state
      const text = `VM ${vmName} was not started on host ${hostName}: ${failure.message}`
      await record({ type: 'vm.power-on-failed', vm: vmName, host: hostName, text, user })
    },
    ended: async ({ state }, failure) => tools.lookAgain(state.hostId, failure !== null),
  }
}

const hostOf = ({ state }: SagaRun<PowerOnState>) => ({ id: state.hostId, name: state.hostName })

async function bringKeys(
  work: WorkContext,
  handOver: HandOver,
  hostKeys: HostKeys,
  run: SagaRun<PowerOnState>,
): Promise<void> {
  const vm = await vmOfTask(work.database, run.state.vmId)
  const authority = authorityOf(vm)
  const keys = keysOf(authority)
  const host = hostOf(run)
  const connection = await hostOfTask(work, host, run.cancelling)
  if (keys.length > 0) {
    const purpose = { host: host.name, vm: vm.row.name, user: run.user, task: run.taskId }
    await hostKeys.makeSafe(host.id, purpose)
    await handOver.ensureHeld(host, connection, keys, purpose)
  }
  if (vm.row.lock_state === 'unlocked') return
  try {
    const { state, reason } = await connection.client.unlock(authority)
    if (state === 'unlocked') return
    const why = reason?.text ?? 'its host does not say why'
    throw new ControlPlaneError('vm-locked', `VM ${vm.row.name} is locked: ${why}. Mend that, and try again`)
  } catch (error) {
    if (error instanceof RestClientError) throw powerRefusal(host.name, error)
    throw error
  }
}

async function start(work: WorkContext, run: SagaRun<PowerOnState>): Promise<undefined> {
  const host = hostOf(run)
  const vm = await vmOfTask(work.database, run.state.vmId)
  const lease = run.state.lease ?? nextLease(vm.machine, work.clock())
  if (run.state.lease === null) await run.save({ lease })
  await work.database.transaction().execute((transaction) => takeLease(transaction, vm, lease, work.clock()))
  if (!run.state.asked) await run.save({ asked: true })
  let status: MachineStatus
  try {
    const request = { vm: authorityOf(vm), lease, acceleration: 'auto' } as const
    status = await askHost(work, host, run, async (client) => {
      const answer = await client.powerOn(request)
      if (answer.state === 'starting') throw new RestClientError('timeout', 'it has not started yet')
      return answer
    })
  } catch (error) {
    throw error instanceof RestClientError ? powerRefusal(host.name, error) : error
  }
  await takeAnswer(work.database, host.id, status, work.clock())
  // A report may have said something newer by now.
  const machine = await machineOf(work.database, vm.row.id)
  if (machine?.state === 'running' || machine?.state === 'paused') return undefined
  const reason = machine?.reason ?? 'the host does not say why'
  throw new ControlPlaneError(
    'agent-failed',
    `host ${host.name} started VM ${vm.row.name}, and then it was ${machine?.state ?? 'off'}: ${reason}`,
  )
}

/** Nothing runs under the lease any more; where the host cannot say so, that is not known. */
async function stop(work: WorkContext, { state }: SagaRun<PowerOnState>): Promise<void> {
  const { vmId, hostId, lease } = state
  if (lease === null) return
  const now = work.clock()
  const off = { state: 'off', reason: null, since: now } as const
  if (!state.asked) return updateMachine(work.database, vmId, lease, off)
  const connection = work.hostConnections.get(hostId)
  try {
    if (connection === null) throw new RestClientError('unreachable', 'it is not connected')
    const status = await connection.client.changePower(vmId, { action: 'power-off', lease })
    await takeAnswer(work.database, hostId, status, now)
  } catch (error) {
    work.stopping.throwIfAborted()
    if (!(error instanceof RestClientError)) throw error
    const reason = `its host did not say whether it was started: ${error.message}`
    const unknown = { state: 'unknown', reason, since: now } as const
    await updateMachine(work.database, vmId, lease, hasAnswered(error) ? off : unknown)
  }
}
