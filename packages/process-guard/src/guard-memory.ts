import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const prlimitTimeoutMs = 5000

/**
 * Guards the memory of this process from now on: no debugger on a signal, no core dump. Resolves with whether core dumps
 * are off; where Linux does not tell, they are not. Look at `unsafeStart` first.
 */
export async function guardMemory(): Promise<{ readonly coreDumpsOff: boolean }> {
  // Node opens its debugger on this signal unless somebody else listens.
  process.on('SIGUSR1', () => {})
  if (!(await areCoreDumpsOff())) {
    const limit = promisify(execFile)('/usr/bin/prlimit', ['--pid', String(process.pid), '--core=0:0'], {
      timeout: prlimitTimeoutMs,
    })
    // What came of it is looked at, not what it said.
    await limit.catch(() => undefined)
  }
  return { coreDumpsOff: await areCoreDumpsOff() }
}

/** Whether this process may leave no core dump: its own limit says so (getrlimit(2), RLIMIT_CORE). */
export async function areCoreDumpsOff(): Promise<boolean> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return /^Max core file size\s+0\s/m.test(limits)
}
