import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { hostUri } from '@cryptvisor/host-agent-api'
import { readCertificate } from '@cryptvisor/pki'
import type { HealthCheck } from '@cryptvisor/rest'
import type { KeyCache } from '../key-cache.ts'
import type { SessionWatch } from '../session.ts'

/** Lets this host's own identity in: whoever can read that is root here. Whether somebody else may, `admitControlPlane` says. */
export function isThisHost(socket: Socket, hostId: string): boolean {
  const peer = socket instanceof TLSSocket && socket.authorized ? socket.getPeerX509Certificate() : undefined
  return peer !== undefined && readCertificate(peer.raw).uris[0] === hostUri(hostId)
}

/** Whether the agent can do its work. No key is named. */
export function healthChecks({
  keys,
  cryptoSupported,
  session,
}: {
  readonly keys: KeyCache
  readonly cryptoSupported: boolean
  readonly session: SessionWatch
}): HealthCheck[] {
  return [
    check('session', session.isConnected, 'no session with the control plane: see the agent’s log for the reason'),
    // A host that takes no keys needs none.
    check(
      'keys',
      !cryptoSupported || keys.hostKey !== null,
      'it holds no host key, so encrypted VMs do not open: «host show» at the control plane says why',
    ),
  ]
}

function check(name: string, ok: boolean, problem: string): HealthCheck {
  return { name, ok, text: ok ? '' : problem }
}
