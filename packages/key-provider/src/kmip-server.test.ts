import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { decodeRequest, KmipError, v1_0, v1_1, v1_2, v1_3, v1_4 } from '@cryptvisor/kmip'
import { type Answer, type Client, KmipServer, MessageProcessor, type ServerEvent } from '@cryptvisor/kmip-server'
import { MemoryObjectStore } from '@cryptvisor/kmip-server/testing'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import type { Version } from '@cryptvisor/ttlv'
import { StandardKeyProvider } from './index.ts'
import { exerciseKeyProvider } from './testing/index.ts'

/** A server that lacks operations, as some do. */
class PoorProcessor extends MessageProcessor {
  lacking: readonly string[] = []

  override async answer(bytes: Uint8Array, client: Client): Promise<Answer> {
    const { requestHeader, batchItem } = decodeRequest(bytes)
    const lacking = batchItem.find(({ operation }) => this.lacking.includes(String(operation)))
    if (lacking === undefined) return super.answer(bytes, client)
    const error = new KmipError('OperationNotSupported', `there is no ${lacking.operation} here`)
    return { bytes: await this.refuse(error, client, requestHeader.protocolVersion), isLast: false }
  }
}

/** Our own server in this process, with these versions; a client is what its certificate's common name says. */
async function startServer(context: TestContext, versions: readonly Version[], lacking: readonly string[] = []) {
  const { authority, privateKey } = await CertificateAuthority.create('own', 2, () => new Date())
  privateKey[Symbol.dispose]()
  using identity = await authority.issue({
    commonName: 'server',
    usages: ['server'],
    hosts: ['127.0.0.1'],
    validDays: 1,
  })
  const client = await authority.issue({ commonName: 'client', usages: ['client'], validDays: 1 })
  context.after(() => client[Symbol.dispose]())
  const events: ServerEvent[] = []
  let lastId = 0
  const processor = new PoorProcessor(
    new MemoryObjectStore(),
    {
      vendorIdentification: 'Cryptvisor test',
      versions,
      now: () => new Date(),
      random: (sizeBytes) => Secret.random(sizeBytes),
      newId: () => `id-${String(++lastId).padStart(6, '0')}`,
    },
    (event) => events.push(event),
  )
  processor.lacking = lacking
  let isKnown = true
  const server = await KmipServer.listen({
    host: '127.0.0.1',
    port: 0,
    identity: { certificate: identity.certificate, privateKey: identity.privateKey, clientCa: authority.certificate },
    identify: async (_, address) =>
      isKnown ? { name: 'client', certificateFingerprint: '11'.repeat(32), address } : null,
    processor,
    emit: (event) => events.push(event),
  })
  context.after(() => server.close())
  return {
    events,
    forgetClient() {
      isKnown = false
    },
    server: {
      name: 'own',
      host: '127.0.0.1',
      port: server.address.port,
      caPem: authority.certificate,
      clientCertificatePem: client.certificate,
      clientKey: client.privateKey,
    },
  }
}

for (const versions of [[v1_4, v1_3, v1_2, v1_1, v1_0], [v1_1, v1_0], [v1_0]]) {
  const newest = versions[0]
  test(`our own server as a key provider, speaking 1.${newest?.minor}`, async (context) => {
    const { server, events } = await startServer(context, versions)
    await using provider = new StandardKeyProvider({ id: 'own', servers: [server] })
    await exerciseKeyProvider(context, provider, { takesLabels: true, remembersDestroyed: true })
    assert.deepEqual(
      events.filter(({ kind }) => kind === 'internal-error'),
      [],
    )
    const [status] = (await provider.probe()).servers
    assert.equal(status?.protocolVersion, `1.${newest?.minor}`)
  })
}

test('a server that does not know the client’s certificate does not trust it', async (context) => {
  const { server, forgetClient } = await startServer(context, [v1_4])
  forgetClient()
  await using provider = new StandardKeyProvider({ id: 'own', servers: [server] })
  await assert.rejects(provider.createKey(), { code: 'not-trusted' })
  const status = await provider.probe()
  assert.deepEqual([status.health, status.servers[0]?.isReachable, status.servers[0]?.isTrusted], ['red', true, false])
})

test('a server without attributes and Query: keys work, with warnings that say what is missing', async (context) => {
  const lacking = ['GetAttributes', 'AddAttribute', 'ModifyAttribute', 'Query']
  const { server } = await startServer(context, [v1_4], lacking)
  await using provider = new StandardKeyProvider({ id: 'poor', servers: [server] })
  const keyId = await provider.createKey()
  await provider.activateKey(keyId)
  ;(await provider.getKey(keyId))[Symbol.dispose]()
  await provider.revokeKey(keyId, 'cessation-of-operation')
  await provider.destroyKey(keyId)
  const told: string[] = []
  const status = await provider.probe({
    made: async () => void told.push('made'),
    gone: async () => void told.push('gone'),
  })
  assert.equal(status.health, 'yellow', status.reason)
  assert.match(status.reason, /labels are refused.*there is no (Get|Add)Attribute/)
  assert.match(status.reason, /attributes are refused, so nothing is known of keys but their IDs/)
  assert.deepEqual([status.servers[0]?.health, status.servers[0]?.vendorIdentification], ['green', null])
  assert.deepEqual(told, ['made', 'gone'], 'the key of the probe is destroyed all the same')
})

test('two servers that do not share their keys are found out', async (context) => {
  const one = await startServer(context, [v1_4])
  const other = await startServer(context, [v1_4])
  const servers = [
    { ...one.server, name: 'one' },
    { ...other.server, name: 'other' },
  ]
  await using provider = new StandardKeyProvider({ id: 'split', servers })
  const status = await provider.probe()
  assert.equal(status.health, 'yellow', status.reason)
  assert.match(status.reason, /server other: .*(gives another key|does not give a key).*share their keys/)
})
