import type { EventType, PowerAction } from '@cryptvisor/control-plane-api'
import type { MachineStatus } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { WorkContext } from '../context.ts'
import type { SagaDefinition, SagaRun } from '../sagas/definition.ts'
import { askHost, powerRefusal } from './ask-host.ts'
import { takeAnswer, updateMachine } from './machine-store.ts'
import { powerTaskTypes } from './power-task.ts'
import type { PowerTools } from './power-tools.ts'

/** What is done to a VM that runs. */
export type RunningAction = Exclude<PowerAction, 'power-on'>

/** What changing the power of a VM that runs remembers. */
export interface PowerChangeState {
  readonly vmId: string
  readonly vmName: string
  readonly hostId: string
  readonly hostName: string
  readonly lease: number
  /** Where nobody asked for it: why it is done. */
  readonly why: string | null
}

interface Words {
  readonly step: string
  readonly done: string
  readonly event: EventType
}

const words: Readonly<Record<RunningAction, Words>> = {
  'power-off': { step: 'powering it off', done: 'was powered off', event: 'vm.powered-off' },
  'shut-down': { step: 'asking its guest to shut down', done: 'was asked to shut down', event: 'vm.guest-shutdown' },
  reset: { step: 'resetting it', done: 'was reset', event: 'vm.reset' },
  pause: { step: 'pausing it', done: 'was paused', event: 'vm.paused' },
  resume: { step: 'letting it go on', done: 'goes on', event: 'vm.resumed' },
}

/** One call to the host that runs the VM. What its host does not confirm is not known afterwards, until it says. */
export function powerSaga(tools: PowerTools, action: RunningAction): SagaDefinition<PowerChangeState> {
  const { work } = tools
  const { step, done, event } = words[action]
  return {
    type: powerTaskTypes[action],
    steps: [{ name: step, act: (run) => change(work, run, action), undo: (run) => leave(work, run) }],
    succeed: async (_transaction, record, { state, user }) => {
      const { vmName: vm, hostName: host, why } = state
      const text = `VM ${vm} ${done} on host ${host}${why === null ? '' : `: ${why}`}`
      await record({ type: event, vm, host, text, user })
    },
    failed: async (_transaction, record, { state, user }, failure) => {
      const { vmName: vm, hostName: host } = state
      const text = `${step} did not work (VM ${vm}, host ${host}): ${failure.message}`
      await record({ type: 'vm.power-failed', vm, host, text, user })
    },
    ended: async ({ state }, failure) => tools.lookAgain(state.hostId, failure !== null),
  }
}

async function change(work: WorkContext, run: SagaRun<PowerChangeState>, action: RunningAction): Promise<undefined> {
  const { vmId, vmName, hostId, hostName, lease } = run.state
  const stops = action === 'power-off'
  if (stops) await updateMachine(work.database, vmId, lease, { state: 'stopping', since: work.clock() })
  let status: MachineStatus
  try {
    const host = { id: hostId, name: hostName }
    status = await askHost(work, host, run, (client) => client.changePower(vmId, { action, lease }))
  } catch (error) {
    if (!(error instanceof RestClientError)) throw error
    if (error.status !== 404) throw powerRefusal(hostName, error)
    // It has no QEMU of this lease any more.
    await updateMachine(work.database, vmId, lease, { state: 'off', reason: null, since: work.clock() })
    if (stops) return undefined
    throw new ControlPlaneError('wrong-power-state', `VM ${vmName} does not run on host ${hostName} any more`)
  }
  // That it ended by itself is told by the host's report.
  if (stops || status.state !== 'off') await takeAnswer(work.database, hostId, status, work.clock())
  if (!stops || status.state === 'off') return undefined
  throw new ControlPlaneError('agent-failed', `host ${hostName} says that VM ${vmName} is ${status.state} still`)
}

async function leave(work: WorkContext, { state }: SagaRun<PowerChangeState>): Promise<void> {
  await work.database
    .updateTable('machine')
    .set({ state: 'unknown', reason: 'its host did not say whether it was powered off', since: work.clock() })
    .where('vm_id', '=', state.vmId)
    .where('lease', '=', state.lease)
    .where('state', '=', 'stopping')
    .execute()
}
