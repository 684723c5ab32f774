import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { CertificateAuthority, type Identity, readCertificate } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { Type } from 'typebox'
import { type ClientOptions, pathOf, RestClient } from './client.ts'
import { fetchPinnedCa } from './pinned-ca.ts'
import { RestError } from './rest-error.ts'
import { readSecret } from './secret-body.ts'
import { buildServer } from './server.ts'

const now = () => new Date()
const Thing = Type.Object(
  { name: Type.String({ maxLength: 8 }), count: Type.Optional(Type.Integer({ minimum: 0 })) },
  { additionalProperties: false },
)

interface Bench {
  readonly url: string
  readonly ca: string
  readonly client: Identity
  readonly seen: { sizeBytes: number; bytes: number[] }[]
  call(options?: Partial<ClientOptions>): RestClient
}

async function startBench(context: TestContext, mutual: boolean): Promise<Bench> {
  const { authority } = await CertificateAuthority.create('Test CA', 1, now)
  const server = await authority.issue({
    commonName: 'server',
    usages: ['server'],
    hosts: ['127.0.0.1'],
    uris: ['urn:x:server'],
    validDays: 1,
  })
  const client = await authority.issue({ commonName: 'client', usages: ['client'], validDays: 1 })
  const app = await buildServer({
    title: 'test',
    description: 'test',
    version: '1.2.3',
    tls: {
      certificate: server.certificate + authority.certificate,
      privateKey: server.privateKey.expose((bytes) => Buffer.from(bytes)),
      ...(mutual ? { clientCa: authority.certificate } : {}),
    },
    mapError: (error) => (error instanceof RangeError ? new RestError(409, 'range', 'out of range') : null),
  })
  const seen: Bench['seen'] = []
  app.post('/things', { schema: { body: Thing, response: { 200: Thing } } }, async ({ body }) => {
    if (body.name === 'range') throw new RangeError('secret detail')
    if (body.name === 'fault') throw new Error('secret detail')
    return { ...body, extra: 'never sent' }
  })
  app.get(
    '/things/:id',
    {
      schema: {
        params: Type.Object({ id: Type.String() }),
        querystring: Type.Object({ n: Type.Optional(Type.Integer()) }),
      },
    },
    async ({ params, query }) => ({ id: params.id, n: query.n ?? null }),
  )
  app.put('/secret', async ({ body }, reply) => {
    using secret = await readSecret(body, 32)
    seen.push({ sizeBytes: secret.sizeBytes, bytes: secret.expose((bytes) => [...bytes]) })
    return reply.code(204).send()
  })
  app.get('/lines', async (_request, reply) =>
    reply.type('text/event-stream').send(Readable.from(['data:a\nda', 'ta:b\n\n'])),
  )
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const clients: RestClient[] = []
  context.after(async () => {
    await Promise.all(clients.map((each) => each[Symbol.asyncDispose]()))
    await app.close()
  })
  return {
    url,
    ca: authority.certificate,
    client,
    seen,
    call(options = {}) {
      const rest = new RestClient({ url, ca: authority.certificate, ...options })
      clients.push(rest)
      return rest
    },
  }
}

test('bodies are strict, errors name the field, answers follow their schema', async (context) => {
  const bench = await startBench(context, false)
  const rest = bench.call()
  const post = (json: unknown) => rest.call({ method: 'POST', path: '/things', json })
  assert.deepEqual(await post({ name: 'a', count: 1 }), { name: 'a', count: 1 })
  const refused = { code: 'answered', status: 400, answerCode: 'invalid-request' }
  await assert.rejects(post({ name: 'a', other: 1 }), { ...refused, field: 'other' })
  await assert.rejects(post({}), { ...refused, field: 'name' })
  await assert.rejects(post({ name: 'a', count: '1' }), { ...refused, field: 'count' })
  await assert.rejects(post([]), refused)
  await assert.rejects(rest.call({ method: 'POST', path: '/things' }), { code: 'answered' })
})

test('business errors are mapped, faults of ours say nothing', async (context) => {
  const rest = (await startBench(context, false)).call()
  const post = (name: string) => rest.call({ method: 'POST', path: '/things', json: { name } })
  await assert.rejects(post('range'), { status: 409, answerCode: 'range', message: 'out of range' })
  await assert.rejects(post('fault'), (error: Error) => {
    assert.match(error.message, /log of the service/)
    assert.doesNotMatch(error.message, /detail/)
    return true
  })
  await assert.rejects(rest.call({ method: 'GET', path: '/nowhere' }), { status: 404, answerCode: 'no-such-route' })
})

test('path segments are encoded, query numbers are read', async (context) => {
  const rest = (await startBench(context, false)).call()
  const path = pathOf('things', 'a/b ü?')
  assert.deepEqual(await rest.call({ method: 'GET', path, query: { n: 7, left: undefined } }), { id: 'a/b ü?', n: 7 })
  await assert.rejects(rest.call({ method: 'GET', path, query: { n: 'x' } }), { status: 400, field: 'n' })
})

test('a path that is no path is refused as everything else is', async (context) => {
  const rest = (await startBench(context, false)).call()
  const refused = { status: 400, answerCode: 'invalid-request', field: 'path' }
  await assert.rejects(rest.call({ method: 'GET', path: '/things/%zz' }), refused)
  await assert.rejects(rest.call({ method: 'GET', path: pathOf('things', 'x'.repeat(513)) }), refused)
})

test('a secret goes straight into a Secret, and only in its size', async (context) => {
  const bench = await startBench(context, false)
  const rest = bench.call()
  using key = Secret.random(32)
  await rest.call({ method: 'PUT', path: '/secret', content: key })
  assert.deepEqual(bench.seen, [{ sizeBytes: 32, bytes: key.expose((bytes) => [...bytes]) }])
  for (const size of [31, 33]) {
    using wrong = Secret.random(size)
    await assert.rejects(rest.call({ method: 'PUT', path: '/secret', content: wrong }), { status: 400, field: 'body' })
  }
  await assert.rejects(rest.call({ method: 'PUT', path: '/secret', json: 'x' }), { status: 415 })
})

test('lines are put together from chunks', async (context) => {
  const rest = (await startBench(context, false)).call()
  const lines: string[] = []
  for await (const line of rest.lines({ method: 'GET', path: '/lines' })) lines.push(line)
  assert.deepEqual(lines, ['data:a', 'data:b', ''])
})

test('who shows no certificate, or trusts another CA, gets nothing', async (context) => {
  const bench = await startBench(context, true)
  const ask = (options: Partial<ClientOptions>) => bench.call(options).call({ method: 'GET', path: '/things/1' })
  const identity = { certificate: bench.client.certificate, privateKey: bench.client.privateKey }
  assert.deepEqual(await ask({ identity }), { id: '1', n: null })
  await assert.rejects(ask({}), { name: 'RestClientError' })
  const other = await CertificateAuthority.create('Other CA', 1, now)
  await assert.rejects(ask({ identity, ca: other.authority.certificate }), { code: 'not-trusted' })
  const stranger = await other.authority.issue({ commonName: 'client', usages: ['client'], validDays: 1 })
  await assert.rejects(ask({ identity: stranger }), { name: 'RestClientError' })
  const checkServer = (reason: string | undefined) => (certificate: { subjectAltName: string | undefined }) => {
    assert.match(certificate.subjectAltName ?? '', /urn:x:server/)
    return reason
  }
  assert.deepEqual(await ask({ identity, checkServer: checkServer(undefined) }), { id: '1', n: null })
  await assert.rejects(ask({ identity, checkServer: checkServer('revoked certificate') }), { code: 'not-trusted' })
})

test('a CA is found by its fingerprint alone, and no other is believed', async (context) => {
  const bench = await startBench(context, false)
  const { fingerprint256 } = readCertificate(bench.ca)
  const found = await fetchPinnedCa(bench.url, fingerprint256)
  assert.equal(readCertificate(found).fingerprint256, fingerprint256)
  await assert.rejects(fetchPinnedCa(bench.url, '0'.repeat(64)), { code: 'not-trusted' })
  await assert.rejects(fetchPinnedCa('https://127.0.0.1:1', fingerprint256), { code: 'unreachable' })
})

test('OpenAPI 3.1 is served', async (context) => {
  const rest = (await startBench(context, false)).call()
  const document = await rest.call<{ openapi: string; paths: object }>({ method: 'GET', path: '/openapi.json' })
  assert.equal(document.openapi, '3.1.0')
  assert.ok(Object.keys(document.paths).includes('/things'))
})
