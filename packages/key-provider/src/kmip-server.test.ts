import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { v1_0, v1_1, v1_2, v1_3, v1_4 } from '@cryptvisor/kmip'
import { KmipServer, MessageProcessor, type ServerEvent } from '@cryptvisor/kmip-server'
import { MemoryObjectStore } from '@cryptvisor/kmip-server/testing'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import type { Version } from '@cryptvisor/ttlv'
import { StandardKeyProvider } from './index.ts'
import { exerciseKeyProvider } from './testing/index.ts'

/** Our own server in this process, with these versions; a client is what its certificate's common name says. */
async function startServer(context: TestContext, versions: readonly Version[]) {
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
  const processor = new MessageProcessor(
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
