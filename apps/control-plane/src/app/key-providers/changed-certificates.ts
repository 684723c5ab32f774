import type { KmipServerWish } from '@cryptvisor/control-plane-api'
import { type ProviderStatus, shownCertificate } from '@cryptvisor/key-provider'
import { readCertificate } from '@cryptvisor/pki'
import { serverName } from '../provider-view.ts'

/** By server: the certificates that pinned servers show instead of the trusted one, PEM. */
export async function changedCertificates(
  servers: readonly KmipServerWish[],
  status: ProviderStatus,
  timeoutMs: number,
): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  for (const server of servers) {
    const probed = status.servers.find(({ name }) => name === serverName(server))
    if (server.fingerprint256 === undefined || probed === undefined || probed.isTrusted || !probed.isReachable) continue
    const shown = await shownCertificate(server.host, server.port, timeoutMs)
    if ('pem' in shown && readCertificate(shown.pem).fingerprint256 !== server.fingerprint256) {
      found.set(serverName(server), shown.pem)
    }
  }
  return found
}
