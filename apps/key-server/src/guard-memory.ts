import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import inspector from 'node:inspector'
import { promisify } from 'node:util'
import { KeyServerError } from './key-server-error.ts'

/** Options of Node that open its memory to somebody or write it to a file. */
const unsafeOption =
  /(^|\s)--(inspect|debug|heapsnapshot|heap-prof|diagnostic-dir|report|trace-event|abort-on-uncaught-exception)/

const prlimitTimeoutMs = 5000

/**
 * Guards the memory that keys lie in: no debugger, no core dump. Throws `unsafe-process` when it was started in a way
 * that gives its memory away. Resolves with whether core dumps are off; Linux tells it, elsewhere it is false.
 */
export async function guardMemory(): Promise<{ coreDumpsOff: boolean }> {
  const options = [...process.execArgv, process.env['NODE_OPTIONS'] ?? ''].join(' ')
  const unsafe = unsafeOption.exec(options)
  if (unsafe !== null || inspector.url() !== undefined) {
    throw new KeyServerError(
      'unsafe-process',
      `the key server holds keys and does not start with a debugger or memory dumps (${unsafe?.[0].trim() ?? 'inspector'})`,
    )
  }
  // Node opens its debugger on this signal unless somebody else listens.
  process.on('SIGUSR1', () => undefined)
  if (!(await areCoreDumpsOff())) {
    await promisify(execFile)('prlimit', ['--pid', String(process.pid), '--core=0:0'], {
      timeout: prlimitTimeoutMs,
    }).catch(() => undefined)
  }
  return { coreDumpsOff: await areCoreDumpsOff() }
}

async function areCoreDumpsOff(): Promise<boolean> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return /^Max core file size\s+0\s/m.test(limits)
}
