import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { Machines } from '../machine/machines.ts'
import type { TestHost } from './test-host.ts'

const waitMs = 30_000

/** An agent's machines on a test's host, emulated; disposing of them leaves what runs running. */
export async function openMachines(host: TestHost): Promise<Machines> {
  const say = (fields: object, text: string) => void host.warnings.push(`${text} ${JSON.stringify(fields)}`)
  return await Machines.open({
    ...{ folder: join(host.root, 'run'), host: host.host(), log: { info: () => {}, warn: say, error: say } },
    now: Date.now,
    accelerationOf: async () => 'tcg',
    canSwap: async () => false,
  })
}

/** Ends whatever runs on a test's host. */
export async function powerAllOff(host: TestHost): Promise<void> {
  await using machines = await openMachines(host)
  for (const { vmId, lease, state } of machines.statuses) {
    if (state !== 'off') await machines.changePower(vmId, { action: 'power-off', lease })
  }
}

/** A request that starts a VM. */
export function powerOnOf(vm: VmAuthority, lease = 1) {
  return { vm, lease, acceleration: 'auto' } as const
}

/** Waits until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + waitMs
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('it did not come to that')
    await sleep(5)
  }
}
