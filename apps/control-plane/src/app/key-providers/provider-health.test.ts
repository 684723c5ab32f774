import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { KeyServerProcess } from '@cryptvisor/key-server/src/testing/key-server-process.ts'
import { PykmipServer, pykmipSkip, temporaryFolder } from '@cryptvisor/testkit'
import { startBench } from '../../testing/bench.ts'
import { addProvider, type NewProvider, unreachableProvider } from '../../testing/new-provider.ts'
import { certificatesOfProviders } from './provider-certificates.ts'

async function startKeyServer(context: TestContext) {
  const server = await KeyServerProcess.create(context)
  await server.start()
  const out = join(server.folder, 'client')
  await server.command('issue-client', 'control-plane', '--out', out)
  const read = (name: string) => readFileSync(join(out, name), 'utf8')
  const provider: NewProvider = {
    name: 'kms',
    servers: [server.kmip],
    serverCa: read('ca.pem'),
    clientCertificate: read('client.pem'),
    clientKey: readFileSync(join(out, 'client.key')),
  }
  return { server, provider }
}

test('what a probe finds is remembered with its time, changes make one event each, and all outlive a restart', async (context) => {
  const { server, provider } = await startKeyServer(context)
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, { ...provider, servers: [server.kmip, { host: '127.0.0.1', port: 1 }] })
  const { providerHealth } = bench.service.platform
  assert.equal(await providerHealth.providerHealth('kms'), null)
  const yellow = await admin.keyProviderStatus('kms')
  assert.equal(yellow.health, 'yellow')
  assert.match(yellow.text, /keys can be had, but server 127\.0\.0\.1:1: .*nobody listens/)
  await server.stop('SIGTERM')
  const red = await admin.keyProviderStatus('kms')
  assert.deepEqual(
    [red.health, (await admin.keyProviderStatus('kms')).since],
    ['red', red.since],
    'since when it is red',
  )
  await bench.restart()
  const again = await bench.logIn()
  assert.deepEqual((await bench.service.platform.providerHealth.providerHealth('kms'))?.since, red.since)
  assert.equal((await again.keyProvider('kms')).health, 'red')
  await server.start()
  assert.equal((await again.keyProviderStatus('kms')).health, 'yellow')
  await again.removeKeyServer('kms', '127.0.0.1:1')
  const green = await again.keyProviderStatus('kms')
  assert.equal(green.health, 'green', green.text)
  const events = (await again.events({ limit: 200 })).events.toReversed()
  assert.deepEqual(
    events
      .filter(({ type }) => /healthy|degraded|unhealthy|connection-error/.test(type))
      .map(({ type, provider }) => [type, provider]),
    [
      ['key-provider.degraded', 'kms'],
      ['kms.crypto.connection-error', 'kms'],
      ['key-provider.degraded', 'kms'],
      ['key-provider.healthy', 'kms'],
    ],
  )
  const certificates = await bench.withDatabase(certificatesOfProviders)
  assert.deepEqual(
    certificates.map(({ kind, provider, server }) => [kind, provider, server]),
    [
      ['client', 'kms', null],
      ['server', 'kms', `${server.kmip.host}:${server.kmip.port}`],
    ],
  )
  assert.ok(certificates.every(({ notAfter }) => notAfter > Date.now()))
})

test('a key that a probe left over is destroyed by a later one', async (context) => {
  const { provider } = await startKeyServer(context)
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, provider)
  const kms = await bench.service.platform.keyProviders.get('kms')
  // As when the control plane died right after it was put on record, or before it was destroyed.
  const left = [await kms.createKey(), await kms.createKey()] as const
  await kms.activateKey(left[1])
  const gone = '00000000-0000-4000-8000-000000000000'
  await bench.withDatabase((database) =>
    database
      .insertInto('probe_key')
      .values([...left, gone].map((key_id) => ({ provider: 'kms', key_id, created_at: 0 })))
      .execute(),
  )
  assert.equal((await admin.keyProviderStatus('kms')).health, 'green')
  for (const keyId of left) assert.match((await kms.describeKey(keyId))?.state ?? '', /^Destroyed/)
  assert.deepEqual(await bench.withDatabase((database) => database.selectFrom('probe_key').selectAll().execute()), [])
})

test('a pinned server that shows another certificate is refused, with both fingerprints and the cure', {
  skip: pykmipSkip,
}, async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const servers = [
    await PykmipServer.start(temporaryFolder(context)),
    await PykmipServer.start(temporaryFolder(context)),
  ] as const
  context.after(() => Promise.all(servers.map((server) => server[Symbol.asyncDispose]())))
  const [first, other] = servers
  const shown = async (port: number) => {
    const { certificate } = await admin.inspectKeyServer({ host: '127.0.0.1', port })
    return certificate?.fingerprint256 ?? ''
  }
  const pin = await shown(first.port)
  await addProvider(admin, {
    ...(await unreachableProvider('kms')),
    servers: [{ host: '127.0.0.1', port: first.port, fingerprint256: pin }],
    clientCertificate: readFileSync(first.files.certificate, 'utf8'),
    clientKey: readFileSync(first.files.key),
  })
  assert.notEqual((await admin.keyProviderStatus('kms')).health, 'red')
  // The same as a server that was set up anew at its address: the pin stays.
  await admin.changeKeyServer('kms', `127.0.0.1:${first.port}`, { port: other.port })
  for (const _ of [1, 2]) assert.equal((await admin.keyProviderStatus('kms')).health, 'red')
  const found = await shown(other.port)
  const events = (await admin.events({ type: 'key-provider.certificate-changed' })).events
  assert.equal(events.length, 1, 'told of once')
  for (const part of [pin, found, `127.0.0.1:${other.port}`, 'key-provider trust server']) {
    assert.ok(events[0]?.text.includes(part), `${part}: ${events[0]?.text}`)
  }
  const detail = await admin.keyProvider('kms')
  assert.equal(detail.status?.servers[0]?.certificate?.fingerprint256, found)
  await admin.trustKeyServers('kms', { pins: [{ host: '127.0.0.1', port: other.port, fingerprint256: found }] })
  const status = await admin.keyProviderStatus('kms')
  assert.doesNotMatch(status.text, /another certificate/)
})
