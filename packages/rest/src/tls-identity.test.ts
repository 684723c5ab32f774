import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority, type Identity, readCertificate } from '@cryptvisor/pki'
import { Type } from 'typebox'
import { RestClient } from './client.ts'
import { goodClientCertificate } from './client-certificate.ts'
import { buildServer } from './server.ts'
import { renewIdentity, type TlsIdentity } from './tls-identity.ts'

const now = () => new Date()
const profile = { commonName: 'x', usages: ['client'] as const, validDays: 1 }

async function serve(identity: Identity, ca: string) {
  const tls = (shown: Identity): TlsIdentity => ({
    certificate: shown.certificate,
    privateKey: shown.privateKey.expose((bytes) => Uint8Array.from(bytes)),
    clientCa: ca,
    clientCertificate: 'optional',
  })
  const app = await buildServer({
    title: 'test',
    description: 'test',
    version: '1',
    tls: tls(identity),
    mapError: () => null,
  })
  app.get('/who', ({ raw }) => {
    const certificate = goodClientCertificate(raw)
    return { who: certificate === null ? null : readCertificate(certificate.raw).commonName }
  })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  return { url, renew: (shown: Identity) => renewIdentity(app, tls(shown)), [Symbol.asyncDispose]: () => app.close() }
}

test('with an optional certificate, a route learns of a good one and of no other', async () => {
  const { authority } = await CertificateAuthority.create('Test CA', 1, now)
  const ca = authority.certificate
  using shown = await authority.issue({ ...profile, usages: ['server'], hosts: ['127.0.0.1'] })
  await using server = await serve(shown, ca)
  const who = async (identity?: Identity) => {
    await using client = new RestClient({ url: server.url, ca, ...(identity === undefined ? {} : { identity }) })
    return await client.call({ method: 'GET', path: '/who' })
  }
  using good = await authority.issue({ ...profile, commonName: 'good' })
  const other = await CertificateAuthority.create('Test CA', 1, now)
  using foreign = await other.authority.issue({ ...profile, commonName: 'foreign' })
  assert.deepEqual(await who(good), { who: 'good' })
  assert.deepEqual(await who(foreign), { who: null })
  assert.deepEqual(await who(), { who: null })
})

test('a renewed identity is shown to whoever connects, and clients are still asked for theirs', async () => {
  const { authority } = await CertificateAuthority.create('Test CA', 1, now)
  const issue = (commonName: string) =>
    authority.issue({ commonName, usages: ['server', 'client'], hosts: ['127.0.0.1'], validDays: 1 })
  using first = await issue('first')
  using second = await issue('second')
  await using server = await serve(first, authority.certificate)
  const look = async () => {
    let shown: string | null = null
    await using client = new RestClient({
      url: server.url,
      ca: authority.certificate,
      identity: first,
      checkServer: (certificate) => {
        shown = readCertificate(certificate.raw).commonName
        return undefined
      },
    })
    const answer = await client.call<{ who: string }>({ method: 'GET', path: '/who' })
    return [shown, answer.who]
  }
  assert.deepEqual(await look(), ['first', 'first'])
  server.renew(second)
  assert.deepEqual(await look(), ['second', 'first'])
})

test('a client wipes its copy of our private key when it is closed', async (context) => {
  const { authority } = await CertificateAuthority.create('Test CA', 1, now)
  using identity = await authority.issue(profile)
  const { mock } = context.mock.method(identity.privateKey, 'expose')
  const client = new RestClient({ url: 'https://127.0.0.1', ca: authority.certificate, identity })
  const copy: unknown = mock.calls[0]?.result
  assert.ok(Buffer.isBuffer(copy))
  assert.match(copy.toString('latin1'), /^-----BEGIN PRIVATE KEY-----/)
  await client[Symbol.asyncDispose]()
  assert.ok(copy.every((byte) => byte === 0))
})

test('the OpenAPI document names schemas that it is told of', async () => {
  const { authority } = await CertificateAuthority.create('Test CA', 1, now)
  using shown = await authority.issue({ ...profile, usages: ['server'], hosts: ['127.0.0.1'] })
  const Part = Type.Object({ id: Type.String() })
  const Whole = Type.Object({ parts: Type.Array(Part) })
  const app = await buildServer({
    title: 'test',
    description: 'test',
    version: '1',
    tls: { certificate: shown.certificate, privateKey: shown.privateKey.expose((bytes) => Uint8Array.from(bytes)) },
    mapError: () => null,
    schemas: { Whole, Part },
  })
  app.get('/whole', { schema: { response: { 200: Whole } } }, () => ({ parts: [] }))
  await app.ready()
  const document = JSON.stringify(app.swagger())
  await app.close()
  assert.match(document, /"schema":\{"\$ref":"#\/components\/schemas\/Whole"\}/)
  assert.match(document, /"Whole":\{"type":"object",.*"items":\{"\$ref":"#\/components\/schemas\/Part"\}/)
  assert.match(document, /"Part":\{"type":"object",.*"id":\{"type":"string"\}/)
})
