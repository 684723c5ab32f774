import { readFile } from 'node:fs/promises'
import inspector from 'node:inspector'
import type { HostStatus } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { runTool } from './tool.ts'

/** Options of Node that open its memory to somebody or write it to a file. */
const unsafeOption =
  /(^|\s)--(inspect|debug|heapsnapshot|heap-prof|diagnostic-dir|report|trace-event|trace-tls|tls-keylog|abort-on-uncaught-exception)/

/**
 * Guards the memory that keys lie in, as far as a process of Node can: no debugger, no dumps. Throws AgentError
 * `unsafe-process` when it was started in a way that gives its memory away.
 */
export async function guardKeyMemory(): Promise<void> {
  const options = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')
  const unsafe = unsafeOption.exec(options)
  if (unsafe !== null || inspector.url() !== undefined) {
    throw new AgentError(
      'unsafe-process',
      `the agent holds keys and does not start with a debugger or memory dumps (${unsafe?.[0].trim() ?? 'inspector'}…)`,
    )
  }
  if (process.env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    throw new AgentError(
      'unsafe-process',
      'NODE_TLS_REJECT_UNAUTHORIZED=0: the agent does not start without checking its peers',
    )
  }
  // Node opens its debugger on this signal unless somebody else listens.
  process.on('SIGUSR1', () => {})
  if (await dumpsCore()) await runTool('prlimit', ['--pid', String(process.pid), '--core=0:0'])
}

/** How well the memory is guarded, as found out now and not as wished. */
export async function keyMemoryLevel(): Promise<HostStatus['keyMemory']> {
  return { swap: await canSwap(), coreDumps: await dumpsCore() }
}

/** Whether this process may leave a core dump: its own limit says so. */
async function dumpsCore(): Promise<boolean> {
  const limits = await readText('/proc/self/limits')
  const soft = /^Max core file size\s+(\S+)/m.exec(limits ?? '')?.[1]
  return soft !== '0'
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
