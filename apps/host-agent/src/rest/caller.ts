import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { epochOf } from '@cryptvisor/host-agent-api'
import { readCertificate } from '@cryptvisor/pki'
import { RestError } from '@cryptvisor/rest'

/** The epochs of the control planes on connections whose certificate was looked at. */
const admitted = new WeakMap<Socket, number>()

/**
 * Lets the control plane in and nobody else: the peer's certificate, which TLS found under our CA, must have its URI as
 * the first of its SAN URIs; a host's certificate under the same CA has another. One that was replaced by a restore, whose
 * epoch is lower than `epochMin`, is refused, too. Throws RestError 403.
 */
export function admitControlPlane(socket: Socket, epochMin: number): void {
  const epoch = admitted.get(socket) ?? epochOfPeer(socket)
  if (epoch < epochMin) {
    throw new RestError(
      403,
      'older-control-plane',
      'this host has met a newer control plane: this one was replaced by a restore',
    )
  }
  admitted.set(socket, epoch)
}

function epochOfPeer(socket: Socket): number {
  const peer = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined
  const epoch = peer === undefined ? null : epochOf(readCertificate(peer.raw).uris)
  if (epoch !== null) return epoch
  throw new RestError(403, 'not-the-control-plane', 'only the control plane may call a host agent')
}
