import { readFile } from 'node:fs/promises'
import type { HostStatus } from '@cryptvisor/host-agent-api'
import { areCoreDumpsOff, guardMemory, thisStart, unsafeStart } from '@cryptvisor/process-guard'
import { AgentError } from '../agent-error.ts'

/**
 * Guards the memory that keys lie in, as far as a process of Node can: no debugger, no dumps. Throws AgentError
 * `unsafe-process` when it was started in a way that gives its memory away.
 */
export async function guardKeyMemory(): Promise<void> {
  const reason = unsafeStart(thisStart())
  if (reason !== null) {
    throw new AgentError('unsafe-process', `the agent holds keys, and does not start so: ${reason}`)
  }
  await guardMemory()
}

/** How well the memory is guarded, as found out now and not as wished. */
export async function keyMemoryLevel(): Promise<HostStatus['keyMemory']> {
  return { swap: await canSwap(), coreDumps: !(await areCoreDumpsOff()) }
}

/** Whether this machine has swap and this process’s control group may use it. */
async function canSwap(): Promise<boolean> {
  const swaps = await readText('/proc/swaps')
  if (swaps !== null && swaps.trim().split('\n').length <= 1) return false
  const group = /^0::(\/.*)$/m.exec((await readText('/proc/self/cgroup')) ?? '')?.[1]
  if (group === undefined) return true
  return (await readText(`/sys/fs/cgroup${group}/memory.swap.max`))?.trim() !== '0'
}

async function readText(path: string): Promise<string | null> {
  return await readFile(path, 'utf8').catch(() => null)
}
