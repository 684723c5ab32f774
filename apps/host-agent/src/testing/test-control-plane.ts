import { PassThrough } from 'node:stream'
import type { TestContext } from 'node:test'
import {
  controlPlaneUri,
  EnrolAnswer,
  type EnrolmentToken,
  EnrolRequest,
  hostUri,
  SessionRequest,
} from '@cryptvisor/host-agent-api'
import { CertificateAuthority, readCertificate } from '@cryptvisor/pki'
import { buildServer, type RestServer } from '@cryptvisor/rest'

/** The control plane's listener for hosts, as far as an agent dials it: enrolment, or sessions over mutual TLS. */
export class TestControlPlane {
  readonly authority: CertificateAuthority
  readonly enrolments: EnrolRequest[] = []
  readonly sessions: { readonly request: SessionRequest; readonly stream: PassThrough }[] = []
  /** What is answered instead of a right answer. */
  forge: (answer: EnrolAnswer) => EnrolAnswer = (answer) => answer
  readonly #app: RestServer
  url = ''

  private constructor(authority: CertificateAuthority, app: RestServer) {
    this.authority = authority
    this.#app = app
  }

  /** `mutual`: asks for client certificates, so that nobody can enrol. `port`: 0 for a free one. */
  static async start(
    context: TestContext,
    { mutual, port = 0, authority }: { mutual: boolean; port?: number; authority?: CertificateAuthority },
  ): Promise<TestControlPlane> {
    const ca = authority ?? (await makeAuthority())
    const identity = await ca.issue({
      commonName: 'control plane',
      usages: ['server'],
      hosts: ['127.0.0.1'],
      uris: [controlPlaneUri],
      validDays: 1,
    })
    const app = await buildServer({
      title: 'test',
      description: 'test',
      version: '0',
      tls: {
        certificate: identity.certificate + ca.certificate,
        privateKey: identity.privateKey.expose((bytes) => Buffer.from(bytes)),
        ...(mutual ? { clientCa: ca.certificate } : {}),
      },
      mapError: () => null,
    })
    const plane = new TestControlPlane(ca, app)
    plane.#addRoutes()
    plane.url = await app.listen({ host: '127.0.0.1', port })
    context.after(() => plane.stop())
    return plane
  }

  token(hostName = 'host-a'): string {
    const { fingerprint256 } = readCertificate(this.authority.certificate)
    const secret = 's'.repeat(40)
    const token: EnrolmentToken = { version: 1, url: this.url, caFingerprint256: fingerprint256, hostName, secret }
    return Buffer.from(JSON.stringify(token)).toString('base64url')
  }

  async stop(): Promise<void> {
    for (const { stream } of this.sessions) stream.destroy()
    await this.#app.close()
  }

  #addRoutes(): void {
    this.#app.post(
      '/v1/enroll',
      { schema: { body: EnrolRequest, response: { 200: EnrolAnswer } } },
      async ({ body }) => {
        this.enrolments.push(body)
        const hostId = `id-${this.enrolments.length}`
        const certificate = await this.authority.signRequest(body.csr, {
          commonName: 'host-a',
          usages: ['server', 'client'],
          hosts: [new URL(body.url).hostname],
          uris: [hostUri(hostId)],
          validDays: 1,
        })
        return this.forge({ hostId, name: 'host-a', certificate, ca: this.authority.certificate })
      },
    )
    this.#app.post('/v1/session', { schema: { body: SessionRequest } }, async ({ body }, reply) => {
      const stream = new PassThrough()
      this.sessions.push({ request: body, stream })
      stream.write('{}\n')
      return await reply.type('application/x-ndjson').send(stream)
    })
  }
}

async function makeAuthority(): Promise<CertificateAuthority> {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 10, () => new Date())
  privateKey[Symbol.dispose]()
  return authority
}

/** Waits until something holds; the test's own time limit ends it. */
export async function eventually(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5))
}
