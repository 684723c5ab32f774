import { connect } from 'node:tls'
import { connectionError, handshakeError, nameOfHost, placeOf } from './connection-error.ts'
import { KmipClientError } from './kmip-client-error.ts'

/**
 * The certificate that a server shows, PEM, whoever signed it: for a person to compare its fingerprint before it is
 * trusted. We show none of ours, and nothing is sent. Throws a KmipClientError.
 */
export function fetchServerCertificate(host: string, port: number, timeoutMs: number): Promise<string> {
  const place = placeOf(host, port)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const socket = connect({ host, port, ...nameOfHost(host), minVersion: 'TLSv1.2', rejectUnauthorized: false })
  let isConnected = false
  let shown: string | null = null
  const look = () => {
    shown ??= socket.getPeerX509Certificate()?.toString() ?? null
    if (shown !== null) resolve(shown)
  }
  const timer = setTimeout(
    () => reject(new KmipClientError('timeout', `${place} did not answer in ${timeoutMs} ms`)),
    timeoutMs,
  )
  const fail = (cause: Error) => reject(isConnected ? handshakeError(cause, place) : connectionError(cause, place))
  socket.once('connect', () => {
    isConnected = true
  })
  socket.once('secureConnect', look)
  // With TLS 1.2 a server that asks for our certificate ends the handshake without one; by then it has shown its own, and
  // this event, whose content is of no use to us, comes just before.
  socket.on('keylog', look)
  socket.on('error', fail)
  socket.once('close', () => fail(new Error('the connection was closed')))
  return promise.finally(() => {
    clearTimeout(timer)
    socket.destroy()
  })
}
