import type { RestServer } from '@cryptvisor/rest'

/** How long the body of a request may take to come, in milliseconds; content that is taken as it comes may take hours. */
export const bodyTimeoutMs = 30_000

/**
 * Keeps clients from holding the server by being many or slow: no more than `connectionsMax` connections, and one whose
 * body does not come in time is closed. Node itself gives a request's head 60 s.
 */
export function limitClients(server: RestServer, connectionsMax: number, timeoutMs = bodyTimeoutMs): void {
  server.server.maxConnections = connectionsMax
  const timers = new WeakMap<object, NodeJS.Timeout>()
  server.addHook('preParsing', async ({ raw }) => {
    timers.set(
      raw,
      setTimeout(() => raw.socket.destroy(), timeoutMs),
    )
  })
  const stop = async ({ raw }: { readonly raw: object }) => clearTimeout(timers.get(raw))
  server.addHook('preValidation', stop)
  server.addHook('onError', stop)
  server.addHook('onRequestAbort', stop)
  server.addHook('onResponse', stop)
}
