import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { CertificateAuthority } from '@cryptvisor/pki'
import { RestClient } from './client.ts'
import { RestError } from './rest-error.ts'
import { buildServer } from './server.ts'

const content = Buffer.alloc(300_000, 'bytes')

/** A server that answers with bytes, and its client. */
async function start(context: TestContext): Promise<RestClient> {
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 1, () => new Date())
  privateKey[Symbol.dispose]()
  using identity = await authority.issue({ commonName: 's', usages: ['server'], hosts: ['127.0.0.1'], validDays: 1 })
  const server = await buildServer({
    title: 'test',
    description: 'test',
    version: '1',
    tls: {
      certificate: identity.certificate,
      privateKey: identity.privateKey.expose((bytes) => Uint8Array.from(bytes)),
    },
    mapError: () => null,
  })
  const bytes = 'application/octet-stream'
  server.post('/whole', (_request, reply) =>
    reply
      .type(bytes)
      .header('content-length', content.length)
      .send(Readable.from([content])),
  )
  server.post('/broken', (_request, reply) => {
    const broken = async function* () {
      yield content
      // What was sent has to be on its way before the connection breaks.
      await new Promise(setImmediate)
      throw new Error('the disk broke')
    }
    return reply
      .type(bytes)
      .header('content-length', content.length + 1)
      .send(Readable.from(broken()))
  })
  server.post('/stalled', (_request, reply) => {
    const stalled = new Readable({ read: () => undefined })
    stalled.push(content.subarray(1))
    return reply.type(bytes).header('content-length', content.length).send(stalled)
  })
  server.post('/endless', (_request, reply) => reply.type(bytes).send(Readable.from([content])))
  server.post('/json', async () => ({}))
  server.post('/refused', async () => {
    throw new RestError(409, 'vm-busy', 'somebody works on it', { field: 'vm' })
  })
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  const client = new RestClient({ url, ca: authority.certificate })
  context.after(async () => {
    await client[Symbol.asyncDispose]()
    await server.close()
  })
  return client
}

test('an answer that is bytes is given as it comes, and is whole or fails', async (context) => {
  const client = await start(context)
  const post = (path: string) => client.stream({ method: 'POST', path, json: {} })
  const whole = await post('/whole')
  assert.equal(whole.sizeBytes, content.length)
  assert.deepEqual(await buffer(whole.stream), content)
  const broken = await post('/broken')
  await assert.rejects(buffer(broken.stream), { name: 'RestClientError' })
  await assert.rejects(post('/endless'), { code: 'protocol' })
  await assert.rejects(post('/json'), { code: 'protocol' })
  await assert.rejects(post('/refused'), { code: 'answered', status: 409, answerCode: 'vm-busy', field: 'vm' })
  await assert.rejects(post('/none'), { code: 'answered', status: 404 })
})

test('whoever reads nothing of an answer can let go of it', async (context) => {
  const client = await start(context)
  for (let count = 0; count < 40; count++) {
    const { stream } = await client.stream({ method: 'POST', path: '/whole', json: {} })
    stream.destroy()
  }
  const { stream } = await client.stream({ method: 'POST', path: '/whole', json: {} })
  assert.deepEqual(await buffer(stream), content, 'no connection is held by the others')
})

test('a signal gives the rest of an answer up', async (context) => {
  const client = await start(context)
  const stop = new AbortController()
  const { stream } = await client.stream({ method: 'POST', path: '/whole', json: {}, signal: stop.signal })
  stop.abort()
  await assert.rejects(buffer(stream), { name: 'RestClientError' })
})

test('an answer that is given up before anybody reads it fails for whoever does', async (context) => {
  const client = await start(context)
  const stop = new AbortController()
  const { stream } = await client.stream({ method: 'POST', path: '/stalled', json: {}, signal: stop.signal })
  stop.abort()
  while (stream.errored === null) await new Promise(setImmediate)
  await assert.rejects(buffer(stream), { name: 'RestClientError' })
})

test('bytes that take long hold up no other call', async (context) => {
  const client = await start(context)
  const bulk = Array.from({ length: 40 }, () => client.stream({ method: 'POST', path: '/stalled', json: {} }))
  await bulk[0]
  const content = new Readable({ read: () => undefined })
  const sent = client.call({ method: 'POST', path: '/json', content, contentBytes: 1 }).catch(() => undefined)
  const signal = AbortSignal.timeout(20_000)
  assert.deepEqual(await client.call({ method: 'POST', path: '/json', json: {}, signal }), {})
  content.destroy()
  await sent
  for (const { stream } of await Promise.all(bulk)) stream.destroy()
})
