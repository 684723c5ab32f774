import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { CertificateAuthority } from '@cryptvisor/pki'
import { buildServer, RestClient } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { type ConnectionLimits, limitClients } from './slow-clients.ts'

const timeoutMs = 100

async function startServer(limits: Partial<ConnectionLimits> = {}) {
  const { authority } = await CertificateAuthority.create('Test CA', 1, () => new Date())
  using shown = await authority.issue({ commonName: 'x', usages: ['server'], hosts: ['127.0.0.1'], validDays: 1 })
  const privateKey = shown.privateKey.expose((bytes) => Uint8Array.from(bytes))
  const server = await buildServer({
    title: 'test',
    description: 'test',
    version: '1',
    tls: { certificate: shown.certificate, privateKey },
    mapError: () => null,
  })
  limitClients(server, { connectionsMax: 10, connectionsPerAddressMax: 10, ...limits }, timeoutMs)
  server.post('/json', { schema: { body: Type.Object({}) } }, async () => ({ read: true }))
  server.put('/content', async ({ body }) => {
    let sizeBytes = 0
    if (body instanceof Readable) for await (const chunk of body) sizeBytes += Buffer.from(chunk).length
    return { sizeBytes }
  })
  const url = await server.listen({ host: '127.0.0.1', port: 0 })
  const ca = authority.certificate
  const dial = async () => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), ca })
    socket.on('error', () => {})
    await once(socket, 'secureConnect')
    return socket
  }
  return { url, ca, dial, [Symbol.asyncDispose]: () => server.close() }
}

test('a body that does not come is not waited for', async () => {
  await using server = await startServer()
  const socket = await server.dial()
  socket.write('POST /json HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{')
  socket.resume()
  await once(socket, 'close')
})

test('content may be slow, and what came in time is answered', async () => {
  await using server = await startServer()
  await using client = new RestClient({ url: server.url, ca: server.ca })
  assert.deepEqual(await client.call({ method: 'POST', path: '/json', json: {} }), { read: true })
  async function* slowly() {
    for (const byte of 'abc') {
      yield Buffer.from(byte)
      await sleep(timeoutMs)
    }
  }
  const content = Readable.from(slowly())
  assert.deepEqual(await client.call({ method: 'PUT', path: '/content', content, contentBytes: 3 }), { sizeBytes: 3 })
})

test('more connections than there may be, of all or of one address, are closed; one that ended makes room', async () => {
  for (const limits of [{ connectionsMax: 1 }, { connectionsPerAddressMax: 1 }]) {
    await using server = await startServer(limits)
    const first = await server.dial()
    await assert.rejects(server.dial(), { code: 'ECONNRESET' })
    first.destroy()
    await once(first, 'close')
    let second = await server.dial().catch(() => null)
    // The server may see the end of the first a moment later.
    while (second === null) second = await server.dial().catch(() => null)
    second.destroy()
  }
})
