import inspector from 'node:inspector'

/** Options of Node that open its memory to somebody, or write it or what goes over TLS to a file. */
const unsafeOption =
  /(^|\s)--(inspect|debug|heapsnapshot|heap-prof|diagnostic-dir|report|trace-event|trace-tls|tls-keylog|abort-on-uncaught-exception)/

/** What `unsafeStart` looks at. */
export interface Start {
  readonly execArgv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Of a debugger that is open already. */
  readonly debuggerUrl: string | undefined
}

/** How this process was started. */
export function thisStart(): Start {
  return { execArgv: process.execArgv, environment: process.env, debuggerUrl: inspector.url() }
}

/** Why a process that was started so gives away what lies in its memory or goes over its wires; `null`: it does not. */
export function unsafeStart({ execArgv, environment, debuggerUrl }: Start): string | null {
  const option = unsafeOption.exec(plain([...execArgv, environment['NODE_OPTIONS'] ?? ''].join(' ')))
  if (option !== null) return `${option[0].trim()}… opens its memory to a debugger, or writes it to a file`
  if (debuggerUrl !== undefined) return 'a debugger is open'
  // Node's own traces of TLS and HTTP hold keys and tokens.
  if ((environment['NODE_DEBUG'] ?? '') !== '') return 'NODE_DEBUG writes keys and tokens to the log'
  if (environment['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    return 'NODE_TLS_REJECT_UNAUTHORIZED=0 lets anybody be our peer'
  }
  return null
}

/** Options as they are documented: Node takes `_` for `-`, and in NODE_OPTIONS quotes and what they escape. */
function plain(options: string): string {
  return options.replaceAll('_', '-').replaceAll(/["\\]/g, '')
}
