import type { ServerResponse } from 'node:http'

/** A signal that fires when the answer was sent whole, or whoever was to read it is gone; also when that was before. */
export function untilClosed(response: ServerResponse): AbortSignal {
  const closed = new AbortController()
  if (response.destroyed) closed.abort()
  else response.once('close', () => closed.abort())
  return closed.signal
}
