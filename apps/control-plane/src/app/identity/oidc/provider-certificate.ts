import { once } from 'node:events'
import { isIP } from 'node:net'
import { connect, type PeerCertificate } from 'node:tls'
import { hostOf, safeLookup } from '../../notifications/address-check.ts'

const timeoutMs = 10_000

/**
 * The certificate that a provider at an https address shows, checked as for any request: CA (PEM; `undefined`: those of the
 * system), host name, times. Throws Node's error, with a code, where it is not as it has to be.
 */
export async function providerCertificate(url: URL, ca: string | undefined): Promise<PeerCertificate> {
  const host = hostOf(url)
  const socket = connect({
    host,
    port: url.port === '' ? 443 : Number(url.port),
    servername: isIP(host) === 0 ? host : '',
    lookup: safeLookup,
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca }),
  })
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.timeout(timeoutMs) })
    return socket.getPeerCertificate()
  } finally {
    socket.destroy()
  }
}
