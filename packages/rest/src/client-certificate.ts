import { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

/** The certificate that the client showed and that stands under the server's `clientCa`; `null`: none, or no good one. */
export function goodClientCertificate(request: { readonly socket: Socket }): X509Certificate | null {
  const { socket } = request
  if (!(socket instanceof TLSSocket) || !socket.authorized) return null
  const { raw } = socket.getPeerCertificate()
  return raw === undefined ? null : new X509Certificate(raw)
}
