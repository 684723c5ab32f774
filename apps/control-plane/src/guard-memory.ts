import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import inspector from 'node:inspector'
import { promisify } from 'node:util'
import { SetUpError } from './set-up-error.ts'

/** Options of Node that open its memory to somebody, or write it or what goes over TLS to a file. */
const unsafeOption =
  /(^|\s)--(inspect|debug|heapsnapshot|heap-prof|diagnostic-dir|report|trace-event|trace-tls|tls-keylog|abort-on-uncaught-exception)/

const prlimitTimeoutMs = 5000

/** What `unsafeStart` looks at. */
export interface Start {
  readonly execArgv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Of a debugger that is open already. */
  readonly debuggerUrl: string | undefined
}

/** Why a process that was started so gives away what lies in its memory or goes over its wires; `null`: it does not. */
export function unsafeStart({ execArgv, environment, debuggerUrl }: Start): string | null {
  const option = unsafeOption.exec([...execArgv, environment['NODE_OPTIONS'] ?? ''].join(' '))
  if (option !== null) return `${option[0].trim()}… gives its memory away`
  if (debuggerUrl !== undefined) return 'a debugger is open'
  // Node's own traces of TLS and HTTP hold keys and tokens.
  if ((environment['NODE_DEBUG'] ?? '') !== '') return 'NODE_DEBUG writes keys and tokens to the log'
  if (environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    return 'NODE_TLS_REJECT_UNAUTHORIZED=0 lets anybody be our peer'
  }
  return null
}

/**
 * Guards the memory that KEKs pass through: no debugger, no core dump. Throws `unsafe-process` when the process was
 * started in a way that gives it away. Resolves with whether core dumps are off; where Linux does not tell, they are not.
 */
export async function guardMemory(): Promise<{ coreDumpsOff: boolean }> {
  const reason = unsafeStart({
    execArgv: process.execArgv,
    environment: process.env,
    debuggerUrl: inspector.url(),
  })
  if (reason !== null) {
    throw new SetUpError('unsafe-process', `keys pass through the control plane, and it does not start so: ${reason}`)
  }
  // Node opens its debugger on this signal unless somebody else listens.
  process.on('SIGUSR1', () => {})
  if (!(await areCoreDumpsOff())) {
    const limit = promisify(execFile)('prlimit', ['--pid', String(process.pid), '--core=0:0'], {
      timeout: prlimitTimeoutMs,
    })
    // What came of it is looked at, not what it said.
    await limit.catch(() => undefined)
  }
  return { coreDumpsOff: await areCoreDumpsOff() }
}

async function areCoreDumpsOff(): Promise<boolean> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  return /^Max core file size\s+0\s/m.test(limits)
}
