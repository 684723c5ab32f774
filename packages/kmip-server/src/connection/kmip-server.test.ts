import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { test } from 'node:test'
import { connect as connectTls } from 'node:tls'
import { decodeResponse, encodeRequest, type RequestMessage, v1_4 } from '@cryptvisor/kmip'
import { createRequest, itemOf } from '../testing/processor-harness.ts'
import { TlsClient } from '../testing/tls-client.ts'
import { startTlsServer, type TlsServer } from '../testing/tls-server.ts'

const discover: RequestMessage = {
  requestHeader: { protocolVersion: v1_4, attestationType: [], batchCount: 1 },
  batchItem: [itemOf('DiscoverVersions', { protocolVersion: [] })],
}

function frame(tag: string, length: number): Buffer {
  const header = Buffer.from(`${tag}01`.padEnd(16, '0'), 'hex')
  header.writeUInt32BE(length, 4)
  return header
}

/** Waits until the server has told of something. */
async function event(server: TlsServer, kind: TlsServer['events'][number]['kind']) {
  for (;;) {
    const found = server.events.find((each) => each.kind === kind)
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

test('who shows no certificate, or one of another authority, says nothing to us', async (context) => {
  const server = await startTlsServer(context)
  const foreign = await startTlsServer(context)
  using strange = await foreign.client('me')
  for (const identity of [null, strange]) {
    // In TLS 1.3 the client is through with the handshake before the server has looked at its certificate.
    const client = await TlsClient.connect(server, identity).catch(() => null)
    client?.write(encodeRequest(discover))
    assert.equal((await client?.nextAnswer()) ?? null, null)
    await assert.rejects(TlsClient.connect(server, identity, { maxVersion: 'TLSv1.2' }))
  }
  await event(server, 'handshake-failed')
  assert.deepEqual(server.store.audit, [])
})

test('a certificate that is not on record gets nothing', async (context) => {
  const server = await startTlsServer(context)
  using identity = await server.stranger('me')
  const client = await TlsClient.connect(server, identity)
  client.write(encodeRequest(discover))
  assert.equal(await client.nextAnswer(), null)
  assert.deepEqual(await event(server, 'connection-refused'), {
    kind: 'connection-refused',
    address: '127.0.0.1',
    reason: 'unknown-client',
  })
  assert.deepEqual(server.store.audit, [])
})

test('TLS 1.2 and 1.3 are spoken, older ones and suites without AEAD are not', async (context) => {
  const server = await startTlsServer(context)
  using identity = await server.client('me')
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const client = await TlsClient.connect(server, identity, { minVersion: version, maxVersion: version })
    assert.equal((await client.send(discover)).batchItem[0]?.resultStatus, 'Success')
    client.close()
  }
  await assert.rejects(
    TlsClient.connect(server, identity, {
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    }),
  )
  const old = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256' } as const
  await assert.rejects(TlsClient.connect(server, identity, old))
})

test('a session that is taken up again is of the same client', async (context) => {
  const server = await startTlsServer(context)
  using identity = await server.client('me')
  const first = await TlsClient.connect(server, identity, { maxVersion: 'TLSv1.2' })
  const session = first.socket.getSession()
  await first.send(discover)
  first.socket.end()
  await first.closed()
  const second = await TlsClient.connect(server, identity, { maxVersion: 'TLSv1.2', session })
  assert.ok(second.socket.isSessionReused())
  assert.equal((await second.send(discover)).batchItem[0]?.resultStatus, 'Success')
  assert.ok(server.store.audit.every(({ client }) => client === 'me'))
})

test('several messages in one piece, and one in many, are answered in their order', async (context) => {
  const server = await startTlsServer(context)
  using identity = await server.client('me')
  const client = await TlsClient.connect(server, identity)
  const create = { ...discover, batchItem: [itemOf('Create', createRequest())] }
  client.write(Buffer.concat([discover, create, discover].map((message) => encodeRequest(message))))
  const operations: unknown[] = []
  for (let index = 0; index < 3; index++) {
    const answer = await client.nextAnswer()
    assert.ok(answer !== null)
    operations.push(decodeResponse(answer).batchItem[0]?.operation)
  }
  assert.deepEqual(operations, ['DiscoverVersions', 'Create', 'DiscoverVersions'])
  for (const byte of encodeRequest(create)) {
    client.write(Uint8Array.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  const answer = await client.nextAnswer()
  assert.ok(answer !== null)
  assert.equal(decodeResponse(answer).batchItem[0]?.resultStatus, 'Success')
})

test('what is no message, or too large a one, is answered and the connection closed', async (context) => {
  const server = await startTlsServer(context, { messageSizeMax: 65_536 })
  using identity = await server.client('me')
  for (const bytes of [
    frame('42007b', 8),
    frame('420078', 65_536),
    frame('420078', 0xffff_fff8),
    frame('420078', 7),
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.concat([frame('420078', 8), Buffer.alloc(8)]),
  ]) {
    const client = await TlsClient.connect(server, identity)
    // More than was asked for is on its way: the answer must come through all the same.
    client.write(Buffer.concat([bytes, Buffer.alloc(200_000)]))
    const answer = await client.nextAnswer()
    assert.ok(answer !== null, bytes.toString('hex'))
    const { responseHeader, batchItem } = decodeResponse(answer)
    assert.deepEqual(responseHeader.protocolVersion, v1_4)
    assert.deepEqual([batchItem[0]?.operation, batchItem[0]?.resultReason], [undefined, 'InvalidMessage'])
    await client.closed()
  }
  assert.equal(server.store.audit.length, 6)
})

test('a message that does not come to its end, and a peer that says nothing, are let go', async (context) => {
  const slow = await startTlsServer(context, { messageTimeoutMs: 50 })
  using slowIdentity = await slow.client('me')
  const trickling = await TlsClient.connect(slow, slowIdentity)
  const bytes = encodeRequest(discover)
  const timer = setInterval(() => trickling.write(bytes.subarray(0, 1)), 10)
  await trickling.closed()
  clearInterval(timer)

  const idle = await startTlsServer(context, { idleTimeoutMs: 50 })
  using idleIdentity = await idle.client('me')
  const silent = await TlsClient.connect(idle, idleIdentity)
  await silent.closed()

  const hasty = await startTlsServer(context, { handshakeTimeoutMs: 50 })
  const socket = connectTcp(hasty.server.address)
  await once(socket, 'close')
  await event(hasty, 'handshake-failed')
})

test('connections without a certificate give way to others', async (context) => {
  for (const limits of [{ connectionsMax: 2 }, { connectionsOfAddressMax: 2 }]) {
    const server = await startTlsServer(context, limits)
    using identity = await server.client('me')
    const bare = [connectTcp(server.server.address), connectTcp(server.server.address)]
    await Promise.all(bare.map((socket) => once(socket, 'connect')))
    const closed = bare.map((socket) => once(socket, 'close'))
    for (const end of closed) {
      const client = await TlsClient.connect(server, identity)
      assert.equal((await client.send(discover)).batchItem[0]?.resultStatus, 'Success')
      await end
    }
  }
})

test('connections are counted, in all and for each address, from their first packet', async (context) => {
  for (const [limits, reason] of [
    [{ connectionsMax: 2 }, 'too-many-connections'],
    [{ connectionsOfAddressMax: 2 }, 'too-many-connections-of-address'],
  ] as const) {
    const server = await startTlsServer(context, limits)
    using identity = await server.client('me')
    const other = await TlsClient.connect(server, identity)
    const client = await TlsClient.connect(server, identity)
    // With TLS 1.3 the server sees a certificate after the client has connected.
    for (const each of [other, client]) await each.send(discover)
    const third = connectTls({ ...server.server.address, ca: server.ca })
    await assert.rejects(once(third, 'secureConnect'))
    assert.deepEqual(await event(server, 'connection-refused'), {
      kind: 'connection-refused',
      address: '127.0.0.1',
      reason,
    })
    assert.equal((await client.send(discover)).batchItem[0]?.resultStatus, 'Success', 'who is in stays in')
    other.socket.end()
    client.socket.end()
    await client.closed()
    // Who has gone makes room.
    for (;;) {
      const again = await TlsClient.connect(server, identity).catch(() => null)
      const answer = again === null ? null : await again.send(discover).catch(() => null)
      again?.close()
      if (answer?.batchItem[0]?.resultStatus === 'Success') break
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }
})

test('closing gives the answers that are being made, and takes no more', async (context) => {
  const server = await startTlsServer(context)
  using identity = await server.client('me')
  const [busy, idle] = [await TlsClient.connect(server, identity), await TlsClient.connect(server, identity)]
  await idle.send(discover)
  // The store is held, so that the message is in work while the server closes.
  const gate = Promise.withResolvers<void>()
  const held = server.store.transaction(() => gate.promise)
  busy.write(encodeRequest(discover))
  await new Promise((resolve) => setTimeout(resolve, 50))
  const bare = connectTcp(server.server.address)
  await once(bare, 'connect')
  const bareClosed = once(bare, 'close')
  const closed = server.server.close()
  await Promise.all([idle.closed(), bareClosed])
  gate.resolve()
  await held
  const answer = await busy.nextAnswer()
  assert.ok(answer !== null)
  await Promise.all([closed, busy.closed()])
  await assert.rejects(TlsClient.connect(server, identity))
})

test('a certificate can be put out while it is in use', async (context) => {
  const server = await startTlsServer(context)
  using mine = await server.client('me')
  using theirs = await server.client('them')
  const [out, stays] = [await TlsClient.connect(server, mine), await TlsClient.connect(server, theirs)]
  await Promise.all([out.send(discover), stays.send(discover)])
  const fingerprint = server.store.audit.find(({ client }) => client === 'me')?.certificateFingerprint
  assert.ok(fingerprint !== undefined)
  server.server.disconnect(fingerprint)
  await out.closed()
  assert.equal((await stays.send(discover)).batchItem[0]?.resultStatus, 'Success')
})
