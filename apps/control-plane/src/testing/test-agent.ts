import { randomUUID } from 'node:crypto'
import type { EnrolAnswer, EnrolmentToken, SessionRequest } from '@cryptvisor/host-agent-api'
import { createRequest, readCertificate } from '@cryptvisor/pki'
import { buildServer, fetchPinnedCa, goodClientCertificate, RestClient } from '@cryptvisor/rest'
import type { Secret } from '@cryptvisor/secret'
import { freePort } from '../free-port.ts'

/** What a host keeps of its enrolment. */
export interface Enrolled {
  readonly answer: EnrolAnswer
  readonly privateKey: Secret
  readonly url: string
  readonly hostsUrl: string
}

/** Enrols as an agent does: the CA by its fingerprint, then the request. `change` damages the request. */
export async function enrolAgent(token: string, url: string, change: object = {}): Promise<Enrolled> {
  // The token is of our own making.
  const {
    url: hostsUrl,
    caFingerprint256,
    hostName,
    secret,
  } = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as EnrolmentToken
  const ca = await fetchPinnedCa(hostsUrl, caFingerprint256)
  const { csr, privateKey } = await createRequest(hostName)
  await using client = new RestClient({ url: hostsUrl, ca })
  const answer = await client.call<EnrolAnswer>({
    method: 'POST',
    path: '/v1/enroll',
    json: { secret, csr, hardwareUuid: randomUUID(), url, ...change },
  })
  return { answer, privateKey, url, hostsUrl }
}

/** An agent that answers REST, as far as the platform asks it, and can dial. */
export interface TestAgent extends AsyncDisposable {
  readonly enrolled: Enrolled
  /** Whom the last request came from: the SAN URIs of the client. */
  readonly callers: string[]
}

/** Enrols an agent at a free port and starts its REST there. */
export async function startAgent(token: string): Promise<TestAgent> {
  const port = await freePort('127.0.0.1')
  const enrolled = await enrolAgent(token, `https://127.0.0.1:${port}`)
  const server = await buildServer({
    title: 'test agent',
    description: 'test agent',
    version: '1',
    tls: {
      certificate: enrolled.answer.certificate,
      privateKey: enrolled.privateKey.expose((bytes) => Uint8Array.from(bytes)),
      clientCa: enrolled.answer.ca,
    },
    mapError: () => null,
  })
  const callers: string[] = []
  server.get('/v1/host', async ({ raw }) => {
    const certificate = goodClientCertificate(raw)
    callers.push(...(certificate === null ? [] : readCertificate(certificate.raw).uris))
    return { hostId: enrolled.answer.hostId }
  })
  await server.listen({ host: '127.0.0.1', port })
  return { enrolled, callers, [Symbol.asyncDispose]: () => server.close() }
}

/** A session as an agent holds it: resolves once the first heartbeat came. Throws what the dial throws. */
export async function dial(
  enrolled: Enrolled,
  change: Partial<SessionRequest> = {},
): Promise<{ readonly heartbeat: string; readonly ended: Promise<void>; hangUp(): void }> {
  const client = new RestClient({
    url: enrolled.hostsUrl,
    ca: enrolled.answer.ca,
    identity: { certificate: enrolled.answer.certificate, privateKey: enrolled.privateKey },
  })
  const stop = new AbortController()
  const lines = client.lines({
    method: 'POST',
    path: '/v1/session',
    json: { bootId: 'boot-1', url: enrolled.url, version: '0.1.0', cryptoSupported: true, ...change },
    signal: stop.signal,
  })
  try {
    const first = await lines.next()
    const ended = (async () => {
      try {
        for await (const _ of lines);
      } catch {
        // Hung up, or cut.
      } finally {
        await client[Symbol.asyncDispose]()
      }
    })()
    return { heartbeat: first.value ?? '', ended, hangUp: () => stop.abort() }
  } catch (error) {
    await client[Symbol.asyncDispose]()
    throw error
  }
}
