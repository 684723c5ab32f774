import { QmpError } from './qmp-error.ts'

/** How long somebody waits. */
export interface Limits {
  /** `null`: as long as it takes. */
  readonly timeoutMs: number | null
  readonly signal?: AbortSignal | undefined
}

/** Calls `stop` once, when the time is over or the signal says so; `what` is waited for. Returns what calls that off. */
export function limit({ timeoutMs, signal }: Limits, what: string, stop: (error: QmpError) => void): () => void {
  const end = (error: QmpError) => {
    callOff()
    stop(error)
  }
  const onAbort = () => end(new QmpError('aborted', `nobody waits for ${what} any more`, { cause: signal?.reason }))
  const timer =
    timeoutMs === null
      ? undefined
      : setTimeout(() => end(new QmpError('timeout', `${what} did not come in ${timeoutMs} ms`)), timeoutMs)
  const callOff = () => {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
  if (signal?.aborted === true) onAbort()
  else signal?.addEventListener('abort', onAbort)
  return callOff
}
