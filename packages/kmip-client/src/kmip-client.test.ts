import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  formatVersion,
  type RequestMessage,
  type ResponseBatchItem,
  type ResponseMessage,
  type ResultReason,
  v1_0,
  v1_1,
  v1_2,
  v1_4,
} from '@cryptvisor/kmip'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { compareVersions, type Version } from '@cryptvisor/ttlv'
import { KmipClient, KmipClientError, type KmipClientErrorCode } from './index.ts'
import { type Answer, startScriptedServer } from './testing/scripted-server.ts'

function response(version: Version, ...batchItem: ResponseBatchItem[]): ResponseMessage {
  return {
    responseHeader: {
      protocolVersion: version,
      timeStamp: new Date(0),
      attestationType: [],
      batchCount: batchItem.length,
    },
    batchItem,
  }
}

function versionsAnswer(asked: RequestMessage, ...protocolVersion: Version[]): ResponseMessage {
  return response(asked.requestHeader.protocolVersion, {
    operation: 'DiscoverVersions',
    resultStatus: 'Success',
    responsePayload: { protocolVersion },
  })
}

function failure(version: Version, resultReason: ResultReason): ResponseMessage {
  return response(version, { resultStatus: 'OperationFailed', resultReason, resultMessage: 'no' })
}

/** A server that has these versions, and answers the rest as the test says. */
function serverOf(versions: readonly Version[], answer: (request: RequestMessage, index: number) => Answer) {
  return (request: RequestMessage, index: number): Answer =>
    request.batchItem[0]?.operation === 'DiscoverVersions'
      ? versionsAnswer(request, ...versions)
      : answer(request, index)
}

/** Answers Activate. */
function activated(request: RequestMessage): ResponseMessage {
  return response(request.requestHeader.protocolVersion, {
    operation: 'Activate',
    resultStatus: 'Success',
    responsePayload: { uniqueIdentifier: 'a' },
  })
}

async function fails(promise: Promise<unknown>, code: KmipClientErrorCode, message = /./): Promise<KmipClientError> {
  const error = await promise.then(
    () => assert.fail('it should have failed'),
    (error: unknown) => error,
  )
  assert.ok(error instanceof KmipClientError, String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.message, message)
  return error
}

const negotiations: readonly { what: string; answer: (request: RequestMessage) => Answer; version: string }[] = [
  { what: 'the newest that both have', answer: (request) => versionsAnswer(request, v1_1, v1_2, v1_0), version: '1.2' },
  {
    what: 'later ones are none of ours',
    answer: (request) => versionsAnswer(request, { major: 2, minor: 1 }, v1_4),
    version: '1.4',
  },
  {
    what: 'the next older one when a message is refused',
    answer: (request) =>
      compareVersions(request.requestHeader.protocolVersion, v1_1) > 0
        ? failure(v1_1, 'InvalidMessage')
        : versionsAnswer(request, v1_1, v1_0),
    version: '1.1',
  },
  {
    what: 'the next older one when the connection is closed',
    answer: (request) =>
      compareVersions(request.requestHeader.protocolVersion, v1_2) > 0 ? 'close' : versionsAnswer(request, v1_2),
    version: '1.2',
  },
  { what: '1.0 when every message is refused', answer: () => failure(v1_0, 'InvalidMessage'), version: '1.0' },
  {
    what: '1.0 when there is no such operation',
    answer: (request) =>
      response(request.requestHeader.protocolVersion, {
        operation: 'DiscoverVersions',
        resultStatus: 'OperationFailed',
        resultReason: 'OperationNotSupported',
      }),
    version: '1.0',
  },
]

for (const { what, answer, version } of negotiations) {
  test(`the version is negotiated: ${what}`, async (context) => {
    const server = await startScriptedServer(context, answer)
    await using client = new KmipClient(server.options)
    assert.equal(client.version, null)
    assert.equal(formatVersion(await client.negotiate()), version)
    const count = server.requests.length
    assert.equal(formatVersion(await client.negotiate()), version)
    assert.equal(server.requests.length, count)
  })
}

test('no version in common, or a server that just closes, is no 1.0', async (context) => {
  const stranger = await startScriptedServer(context, (request) => versionsAnswer(request, { major: 2, minor: 0 }))
  await using one = new KmipClient(stranger.options)
  await fails(one.negotiate(), 'protocol', /2\.0, we have 1\.4/)
  const closing = await startScriptedServer(context, () => 'close')
  await using other = new KmipClient(closing.options)
  await fails(other.negotiate(), 'tls-failed', /closed the connection after the handshake/)
})

test('one connection serves many requests, one after the other', async (context) => {
  const server = await startScriptedServer(context, serverOf([v1_4], activated))
  await using client = new KmipClient(server.options)
  await Promise.all(Array.from({ length: 20 }, () => client.activate({ uniqueIdentifier: 'a' })))
  assert.equal(server.connectionCount(), 1)
  assert.equal(server.requests.length, 21)
})

test('a connection that was closed meanwhile is made again', async (context) => {
  const server = await startScriptedServer(context, serverOf([v1_4], activated))
  await using client = new KmipClient(server.options)
  await client.activate({ uniqueIdentifier: 'a' })
  server.closeConnections()
  await sleep(50)
  await client.activate({ uniqueIdentifier: 'a' })
  assert.equal(server.connectionCount(), 2)
})

test('what can be asked twice is asked twice when the connection closes, and nothing else', async (context) => {
  let closings = 0
  const server = await startScriptedServer(
    context,
    serverOf([v1_4], (request) => {
      if (closings-- > 0) return 'close'
      const operation = request.batchItem[0]?.operation
      if (operation === 'Activate') return activated(request)
      return response(request.requestHeader.protocolVersion, {
        operation: 'Locate',
        resultStatus: 'Success',
        responsePayload: { uniqueIdentifier: ['a'] },
      })
    }),
  )
  await using client = new KmipClient(server.options)
  await client.locate({ attribute: [] })
  closings = 1
  assert.deepEqual((await client.locate({ attribute: [] })).uniqueIdentifier, ['a'])
  closings = 1
  await fails(client.activate({ uniqueIdentifier: 'a' }), 'closed')
  closings = 1
  await fails(client.locate({ attribute: [] }), 'closed', /./)
  assert.deepEqual((await client.locate({ attribute: [] })).uniqueIdentifier, ['a'])
})

const wrongAnswers: Readonly<Record<string, (request: RequestMessage) => Answer>> = {
  'another operation': (request) =>
    response(request.requestHeader.protocolVersion, {
      operation: 'Destroy',
      resultStatus: 'Success',
      responsePayload: { uniqueIdentifier: 'a' },
    }),
  'no payload': (request) =>
    response(request.requestHeader.protocolVersion, { operation: 'Activate', resultStatus: 'Success' }),
  'another version': (request) => ({
    ...activated(request),
    responseHeader: { ...activated(request).responseHeader, protocolVersion: v1_0 },
  }),
  'one item too many': (request) => {
    const [item] = activated(request).batchItem
    assert.ok(item !== undefined)
    return response(request.requestHeader.protocolVersion, item, item)
  },
  'bytes that are no answer': () => Buffer.from('4200780100000000', 'hex'),
  'bytes that are no message': () => Buffer.from('4200 7b01 0000 0008 4200 7a01 0000 0000'.replaceAll(' ', ''), 'hex'),
  'an answer that is too large': () => Buffer.from('42007b0100100000', 'hex'),
  'something else': () => Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
}

for (const [what, answer] of Object.entries(wrongAnswers)) {
  test(`a wrong answer is refused: ${what}`, async (context) => {
    const server = await startScriptedServer(context, serverOf([v1_4], answer))
    await using client = new KmipClient({ ...server.options, limits: { responseSizeMax: 1_048_576 } })
    await fails(client.activate({ uniqueIdentifier: 'a' }), 'protocol')
  })
}

function batchAnswer(request: RequestMessage, items: readonly (readonly [number, boolean])[]): ResponseMessage {
  return response(
    request.requestHeader.protocolVersion,
    ...items.map(([index, isSuccess]): ResponseBatchItem => {
      const id = request.batchItem[index]?.uniqueBatchItemId ?? Uint8Array.of(0, 0, 0, 9)
      const common = { operation: 'Destroy', uniqueBatchItemId: id } as const
      return isSuccess
        ? { ...common, resultStatus: 'Success', responsePayload: { uniqueIdentifier: `key ${index}` } }
        : { ...common, resultStatus: 'OperationFailed', resultReason: 'ItemNotFound' }
    }),
  )
}

async function destroyThree(context: TestContext, answers: readonly (readonly [number, boolean])[]) {
  const server = await startScriptedServer(
    context,
    serverOf([v1_4], (request) => batchAnswer(request, answers)),
  )
  await using client = new KmipClient(server.options)
  const item = { operation: 'Destroy', payload: {} } as const
  return await client.request([item, item, item])
}

test('answers in a batch are found by their IDs', async (context) => {
  const results = await destroyThree(context, [
    [2, true],
    [0, true],
    [1, false],
  ])
  const [first, second, third] = results
  assert.deepEqual(first, { uniqueIdentifier: 'key 0' })
  assert.ok(second instanceof KmipClientError && second.resultReason === 'ItemNotFound')
  assert.deepEqual(third, { uniqueIdentifier: 'key 2' })
})

test('what was not tried after a failure has failed too', async (context) => {
  const [first, second, third] = await destroyThree(context, [
    [0, true],
    [1, false],
  ])
  assert.ok(!(first instanceof KmipClientError))
  assert.ok(second instanceof KmipClientError && second.refusal !== null)
  assert.ok(third instanceof KmipClientError && third.code === 'operation-failed' && third.refusal === null)
})

test('answers that belong to nothing, twice to the same, or are missing, are refused', async (context) => {
  const success = (...indexes: number[]) =>
    destroyThree(
      context,
      indexes.map((index) => [index, true] as const),
    )
  await fails(success(0, 1, 7), 'protocol')
  await fails(success(0, 1, 1), 'protocol')
  await fails(success(0, 1), 'protocol', /not answered/)
})

test('a server that does not answer, or not to the end, is not waited for', async (context) => {
  for (const answer of ['nothing', Buffer.from('42007b0100000100', 'hex')] as const) {
    const server = await startScriptedServer(
      context,
      serverOf([v1_4], () => answer),
    )
    await using client = new KmipClient({ ...server.options, limits: { requestTimeoutMs: 100 } })
    await fails(client.activate({ uniqueIdentifier: 'a' }), 'timeout')
  }
})

test('a server that does not shake hands is not waited for', async (context) => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  context.after(() => silent.close())
  const { options } = await startScriptedServer(context, () => 'nothing')
  // A server that listens on TCP has an address with a port.
  const { port } = silent.address() as AddressInfo
  await using client = new KmipClient({ ...options, port, limits: { connectTimeoutMs: 100 } })
  await fails(client.negotiate(), 'timeout')
})

test('nobody listens, or somebody who speaks no TLS', async (context) => {
  const { options } = await startScriptedServer(context, () => 'nothing')
  await using nobody = new KmipClient({ ...options, port: 1 })
  await fails(nobody.negotiate(), 'connect-failed', /127\.0\.0\.1:1 .*ECONNREFUSED/)
  const plain = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1')
  await once(plain, 'listening')
  context.after(() => plain.close())
  // A server that listens on TCP has an address with a port.
  await using other = new KmipClient({ ...options, port: (plain.address() as AddressInfo).port })
  await fails(other.negotiate(), 'tls-failed')
})

test('the server is known by its authority or its fingerprint', async (context) => {
  const server = await startScriptedServer(context, serverOf([v1_4], activated))
  const { caPem, ...unknown } = server.options
  const { authority: stranger } = await CertificateAuthority.create('stranger', 1, () => new Date())
  const wrong = 'AB'.repeat(32)
  const good = [
    { ...unknown, caPem },
    { ...unknown, fingerprint256: server.fingerprint256 },
    { ...unknown, fingerprint256: server.fingerprint256.replaceAll(':', '').toLowerCase() },
    { ...unknown, caPem, fingerprint256: server.fingerprint256 },
  ]
  for (const options of good) {
    // With exactOptionalPropertyTypes an authority that is there stays there.
    await using client = new KmipClient(options as typeof server.options)
    await client.activate({ uniqueIdentifier: 'a' })
  }
  const count = server.requests.length
  const bad = [
    { ...unknown, caPem: stranger.certificate },
    { ...unknown, fingerprint256: wrong },
    { ...unknown, caPem, fingerprint256: wrong },
    { ...unknown, caPem: stranger.certificate, fingerprint256: server.fingerprint256 },
    { ...unknown, caPem, host: 'localhost' },
  ]
  for (const options of bad) {
    // As above.
    await using client = new KmipClient(options as typeof server.options)
    await fails(client.activate({ uniqueIdentifier: 'a' }), 'tls-failed')
  }
  assert.equal(server.requests.length, count, 'nothing was sent to a server that is not trusted')
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`a server that does not trust our certificate says so in ${version}`, async (context) => {
    const server = await startScriptedServer(context, serverOf([v1_4], activated), {
      minVersion: version,
      maxVersion: version,
    })
    const { authority: stranger } = await CertificateAuthority.create('stranger', 1, () => new Date())
    using own = await stranger.issue({ commonName: 'client', usages: ['client'], validDays: 1 })
    await using client = new KmipClient({
      ...server.options,
      clientCertificatePem: own.certificate,
      clientKey: own.privateKey,
    })
    await fails(client.activate({ uniqueIdentifier: 'a' }), 'tls-failed', /our client certificate/)
  })
}

test('options that cannot work are refused at once', async (context) => {
  const { options, authority } = await startScriptedServer(context, () => 'nothing')
  const { caPem: _, ...unknown } = options
  using other = await authority.issue({ commonName: 'other', usages: ['client'], validDays: 1 })
  using garbage = Secret.from(new TextEncoder().encode('no key'))
  const bad: (readonly [object, RegExp])[] = [
    [unknown, /caPem or fingerprint256 is missing/],
    [{ ...options, fingerprint256: 'ab' }, /64 hexadecimal digits/],
    [{ ...options, caPem: 'no certificate' }, /caPem must hold a certificate/],
    [{ ...options, clientCertificatePem: '' }, /clientCertificatePem must hold a certificate/],
    [{ ...options, clientKey: other.privateKey }, /clientKey must be the PEM private key of/],
    [{ ...options, clientKey: garbage }, /clientKey must be the PEM private key of/],
  ]
  for (const [wrong, message] of bad) {
    // The point is to pass what does not work.
    assert.throws(() => new KmipClient(wrong as typeof options), { code: 'invalid-options', message })
  }
})

test('a password is sent with each request, and shown to nobody', async (context) => {
  const server = await startScriptedServer(context, serverOf([v1_4], activated))
  using password = Secret.from(new TextEncoder().encode('open sesame'))
  const traces: string[] = []
  await using client = new KmipClient({
    ...server.options,
    credential: { username: 'fred', password },
    trace: (text) => traces.push(text),
  })
  await client.activate({ uniqueIdentifier: 'a' })
  for (const { requestHeader } of server.requests) {
    const [credential] = requestHeader.authentication?.credential ?? []
    assert.ok(credential?.credentialType === 'UsernameAndPassword')
    assert.equal(credential.credentialValue.username, 'fred')
    assert.ok(credential.credentialValue.password?.equal(password))
  }
  assert.equal(traces.length, 4)
  assert.ok(traces.every((text) => !text.includes('sesame')))
})

test('waiting has a limit, and ends with the client', async (context) => {
  const server = await startScriptedServer(
    context,
    serverOf([v1_4], () => 'nothing'),
  )
  const client = new KmipClient({ ...server.options, limits: { waitingRequestsMax: 2 } })
  const first = fails(client.activate({ uniqueIdentifier: 'a' }), 'closed')
  const second = fails(client.activate({ uniqueIdentifier: 'a' }), 'closed')
  await fails(client.activate({ uniqueIdentifier: 'a' }), 'busy')
  while (server.requests.length < 2) await sleep(5)
  await client[Symbol.asyncDispose]()
  await Promise.all([first, second])
  await fails(client.activate({ uniqueIdentifier: 'a' }), 'closed')
})

test('an idle connection is given back', async (context) => {
  const server = await startScriptedServer(context, serverOf([v1_4], activated))
  await using client = new KmipClient({ ...server.options, limits: { idleTimeoutMs: 50 } })
  await client.activate({ uniqueIdentifier: 'a' })
  await sleep(200)
  await client.activate({ uniqueIdentifier: 'a' })
  assert.equal(server.connectionCount(), 2)
})

test('what cannot be sent is refused before it is', async (context) => {
  const server = await startScriptedServer(context, serverOf([v1_2], activated))
  await using client = new KmipClient(server.options)
  await fails(client.activate({ uniqueIdentifier: '\ud800' }), 'invalid-request', /uniqueIdentifier: must be a string/)
  await fails(client.locate({ offsetItems: 1, attribute: [] }), 'invalid-request', /offsetItems: .* in version 1\.2/)
  assert.equal(server.requests.length, 1, 'only the versions were asked for')
  await client.activate({ uniqueIdentifier: 'a' })
})
