import { Socket } from 'node:net'
import type { RestServer } from '@cryptvisor/rest'
import { addressGroup } from '../app/address-group.ts'

/** How long the body of a request may take to come, in milliseconds; content that is taken as it comes may take hours. */
export const bodyTimeoutMs = 30_000

/** How many connections a server has at once: altogether, and from one address (of IPv6, one /64). */
export interface ConnectionLimits {
  readonly connectionsMax: number
  readonly connectionsPerAddressMax: number
}

/**
 * Keeps clients from holding the server by being many or slow: connections beyond `limits` are closed, and so is one
 * whose body does not come in time. Node itself gives a TLS handshake 120 s and a request's head 60 s.
 */
export function limitClients(server: RestServer, limits: ConnectionLimits, timeoutMs = bodyTimeoutMs): void {
  server.server.maxConnections = limits.connectionsMax
  limitAddresses(server, limits.connectionsPerAddressMax)
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

/** Counts before TLS begins, which is what costs. */
function limitAddresses({ server }: RestServer, connectionsMax: number): void {
  const countByAddress = new Map<string, number>()
  server.on('connection', (socket) => {
    const address = addressGroup((socket instanceof Socket ? socket.remoteAddress : undefined) ?? '')
    const count = (countByAddress.get(address) ?? 0) + 1
    countByAddress.set(address, count)
    socket.once('close', () => {
      const left = (countByAddress.get(address) ?? 1) - 1
      if (left === 0) countByAddress.delete(address)
      else countByAddress.set(address, left)
    })
    if (count > connectionsMax) socket.destroy()
  })
}
