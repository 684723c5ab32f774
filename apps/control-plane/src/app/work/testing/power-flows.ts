import type { PowerAction, PowerState } from '@cryptvisor/control-plane-api'
import { type Flow, prepareEncrypted } from './flow.ts'
import { admin, type World } from './world.ts'

const powerOf = async (world: World): Promise<PowerState> => (await world.work.showVm('web')).power.state

const act = (action: PowerAction) => (world: World) => world.work.machines.changePower(admin, 'web', { action })

async function prepareRunning(world: World): Promise<void> {
  await prepareEncrypted(world)
  await world.powerOn()
}

/** What is done to the power of VMs; machines outlive the agents that are killed. */
export const powerFlows: readonly Flow[] = [
  {
    name: 'power an encrypted VM on',
    prepare: prepareEncrypted,
    act: act('power-on'),
    happened: async (world) => (await powerOf(world)) === 'running' && world.hostA.machines.running.length === 1,
    event: 'vm.powered-on',
    failureEvent: 'vm.power-on-failed',
  },
  {
    name: 'power a VM off',
    prepare: prepareRunning,
    act: act('power-off'),
    happened: async (world) => (await powerOf(world)) === 'off' && world.hostA.machines.running.length === 0,
    event: 'vm.powered-off',
    failureEvent: 'vm.power-failed',
  },
  {
    name: 'pause a VM',
    prepare: prepareRunning,
    act: act('pause'),
    happened: async (world) => (await powerOf(world)) === 'paused',
    event: 'vm.paused',
    failureEvent: 'vm.power-failed',
  },
  {
    name: 'reset a VM',
    prepare: prepareRunning,
    act: act('reset'),
    happened: async (world) => (await powerOf(world)) === 'running',
    event: 'vm.reset',
    failureEvent: 'vm.power-failed',
  },
  {
    name: 'give a VM to another host',
    host: 'host-b',
    prepare: prepareEncrypted,
    act: (world) => world.work.machines.migrate(admin, 'web', { host: 'host-b' }),
    happened: async (world) => (await world.work.showVm('web')).host === 'host-b',
    event: 'vm.migrated',
    failureEvent: 'vm.migration-failed',
  },
]
