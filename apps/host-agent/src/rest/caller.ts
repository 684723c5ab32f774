import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { controlPlaneUri } from '@cryptvisor/host-agent-api'
import { readCertificate } from '@cryptvisor/pki'
import { RestError } from '@cryptvisor/rest'

/** Connections whose certificate was looked at. */
const admitted = new WeakSet<Socket>()

/**
 * Lets the control plane in and nobody else: the peer's certificate, which TLS found under our CA, must have its URI as
 * the one SAN URI. A host's certificate under the same CA has another. Throws RestError 403.
 */
export function admitControlPlane(socket: Socket): void {
  if (admitted.has(socket)) return
  const peer = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  const uris = peer === undefined ? [] : readCertificate(peer.raw).uris
  if (uris.length !== 1 || uris[0] !== controlPlaneUri) {
    throw new RestError(403, 'not-the-control-plane', 'only the control plane may call a host agent')
  }
  admitted.add(socket)
}
