import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect, type DetailedPeerCertificate } from 'node:tls'
import { RestClientError } from './client.ts'

const chainLengthMax = 8

/**
 * Asks the server at `url` for its certificate chain and gives the PEM of the one whose SHA-256 fingerprint (64 hex
 * digits, colons allowed) is `fingerprint256`. Nothing else that the server says is believed: connect again with
 * that certificate as the CA. Throws `RestClientError` `not-trusted` when no certificate of the chain is the one.
 */
export async function fetchPinnedCa(url: string, fingerprint256: string, timeoutMs = 10_000): Promise<string> {
  const { hostname, port } = new URL(url)
  const wanted = fingerprint256.replaceAll(':', '').toLowerCase()
  const socket = connect({
    host: hostname,
    port: Number(port),
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    timeout: timeoutMs,
  })
  try {
    socket.once('timeout', () => socket.destroy(new Error('no answer in time')))
    await once(socket, 'secureConnect')
    let certificate: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true)
    for (let depth = 0; depth < chainLengthMax && certificate?.raw !== undefined; depth++) {
      const parsed = new X509Certificate(certificate.raw)
      if (parsed.fingerprint256.replaceAll(':', '').toLowerCase() === wanted) return parsed.toString()
      certificate = certificate.issuerCertificate === certificate ? undefined : certificate.issuerCertificate
    }
  } catch (cause) {
    throw new RestClientError('unreachable', `${url} cannot be reached`, { cause })
  } finally {
    socket.destroy()
  }
  throw new RestClientError('not-trusted', `${url} does not show the certificate with fingerprint ${wanted}`)
}
