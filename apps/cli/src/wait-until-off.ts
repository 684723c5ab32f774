import { setTimeout as sleep } from 'node:timers/promises'
import type { Vm } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { CliError } from './cli-error.ts'
import { isPassingFailure } from './passing-failure.ts'
import { nextPollMs, type PollPace } from './task-wait.ts'

/**
 * Waits until a VM is off, and gives it. Throws `CliError` `check-failed` when its guest took too long, `interrupted` when the signal
 * is aborted.
 */
export async function waitUntilOff(
  client: ControlPlaneClient,
  name: string,
  { signal, timeoutMs, pace }: { readonly signal: AbortSignal; readonly timeoutMs: number; readonly pace: PollPace },
): Promise<Vm> {
  const deadline = performance.now() + timeoutMs
  for (let pollMs = pace.firstMs; ; pollMs = nextPollMs(pollMs, pace)) {
    try {
      const vm = await client.vm(name)
      if (vm.power.state === 'off') return vm
    } catch (error) {
      if (!isPassingFailure(error)) throw error
    }
    if (performance.now() >= deadline) {
      throw new CliError('check-failed', `the guest of VM ${name} was asked to shut down, and has not done so yet`, {
        next: `wait longer (--timeout), or pull the plug: cryptvisor vm power-off ${name}`,
      })
    }
    await sleep(pollMs, undefined, { signal }).catch(() => {
      throw new CliError('interrupted', `the guest of VM ${name} was asked to shut down`, {
        next: `see: cryptvisor vm show ${name}`,
      })
    })
  }
}
