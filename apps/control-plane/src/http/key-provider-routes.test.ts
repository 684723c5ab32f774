import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { KeyServerProcess } from '@cryptvisor/key-server/src/testing/key-server-process.ts'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import { checkProviderRemoval } from '../app/work/hosts/removal-check.ts'
import { insertPendingKey, setKeyState } from '../app/work/keys/key-rows.ts'
import { startBench } from '../testing/bench.ts'
import { addProvider, type NewProvider, unreachableProvider } from '../testing/new-provider.ts'
import { enrolAgent } from '../testing/test-agent.ts'

async function keyServer(context: TestContext) {
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

test('a provider of a real key server is green, gives keys, and is red with one event while the server is down', async (context) => {
  const { server, provider } = await keyServer(context)
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const { keyProviders } = bench.service.platform
  await assert.rejects(keyProviders.get('kms'), { code: 'not-found' })
  const added = await addProvider(admin, provider)
  assert.deepEqual(
    [added.name, added.isDefault, added.servers, added.missing],
    ['kms', true, [{ ...server.kmip, fingerprint256: null }], null],
  )
  assert.match(added.clientCertificateFingerprint256 ?? '', /^[0-9a-f]{64}$/)
  const status = await admin.keyProviderStatus('kms')
  assert.equal(status.health, 'green', status.text)
  assert.deepEqual(
    status.servers.map(({ address, health, protocolVersion }) => [address, health, protocolVersion]),
    [[`${server.kmip.host}:${server.kmip.port}`, 'green', '1.4']],
  )
  const kms = await keyProviders.get('kms')
  assert.equal(await keyProviders.get('kms'), kms, 'one provider is opened once')
  const keyId = await kms.createKey()
  await bench.restart()
  using key = await (await bench.service.platform.keyProviders.get('kms')).getKey(keyId)
  assert.equal(key.sizeBytes, 32)

  await server.stop('SIGTERM')
  assert.equal((await admin.keyProviderStatus('kms')).health, 'red')
  assert.equal((await admin.keyProviderStatus('kms')).health, 'red')
  const errors = await admin.events({ type: 'kms.crypto.connection-error' })
  assert.deepEqual(
    errors.events.map(({ provider }) => provider),
    ['kms'],
  )
  assert.deepEqual((await admin.events({ type: 'kms.crypto.error' })).events, [])
})

test('a provider whose servers nobody answers for is added all the same', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const request = await unreachableProvider('far')
  assert.equal((await addProvider(admin, request)).isDefault, true)
  const status = await admin.keyProviderStatus('far')
  assert.equal(status.health, 'red')
  assert.equal(status.servers[0]?.health, 'red')
  await assert.rejects(addProvider(admin, request), { status: 409, field: 'name' })
  assert.equal((await addProvider(admin, { ...request, name: 'second' })).isDefault, false)
  await assert.rejects(addProvider(admin, { ...request, name: 'third', makeDefault: true }), {
    status: 503,
    field: 'makeDefault',
  })
  assert.equal((await addProvider(admin, { ...request, name: 'third' })).isDefault, false)
  await assert.rejects(admin.setDefaultKeyProvider('second'), {
    status: 503,
    answerCode: 'kms-unreachable',
    message: /second is not made the default.*127\.0\.0\.1:1 cannot be reached.*--force/,
  })
  assert.equal((await admin.keyProviders()).providers.find(({ isDefault }) => isDefault)?.name, 'far')
  assert.equal((await admin.setDefaultKeyProvider('second', { force: true })).isDefault, true)
  assert.deepEqual(
    (await admin.keyProviders()).providers.map(({ name, isDefault }) => [name, isDefault]),
    [
      ['far', false],
      ['second', true],
      ['third', false],
    ],
  )
  await assert.rejects(admin.setDefaultKeyProvider('none'), { status: 404 })
  bench.work.refusal = new ControlPlaneError('in-use', 'the VM web uses a key of third')
  await assert.rejects(admin.deleteKeyProvider('third'), { status: 409, answerCode: 'in-use' })
  bench.work.refusal = null
  await admin.deleteKeyProvider('second')
  assert.deepEqual(
    (await admin.keyProviders()).providers.map(({ isDefault }) => isDefault),
    [false, false],
    'the default one is gone, and no other takes its place',
  )
  await assert.rejects(admin.keyProviderStatus('second'), { status: 404 })
})

test('a provider that keeps a host key is in use until the host is removed', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, await unreachableProvider('kms'))
  await admin.createCluster({ name: 'cluster' })
  const { token } = await admin.createEnrolmentToken({ name: 'host-a', cluster: 'cluster' })
  const { answer } = await enrolAgent(token, 'https://127.0.0.1:7443')
  const owner = { kind: 'host', id: answer.hostId, name: 'host-a' } as const
  const key = { provider: 'kms', keyId: 'host-key' }
  await bench.withDatabase(async (database) => {
    await insertPendingKey(database, key, owner, null, 0)
    await setKeyState(database, key, 'current', 1)
  })
  await assert.rejects(admin.deleteKeyProvider('kms'), { status: 409, message: /host-key/ })
  await admin.deleteHost('host-a')
  await bench.withDatabase((database) => checkProviderRemoval(database, 'kms'))
  await admin.deleteKeyProvider('kms')
})

test('certificates and key have to be readable, and to belong together', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const request = await unreachableProvider('kms')
  const other = await unreachableProvider('other')
  const encrypted = Buffer.from('-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIH0\n-----END ENCRYPTED PRIVATE KEY-----\n')
  for (const [change, field] of [
    [{ serverCa: 'none' }, 'serverCa'],
    [{ serverCa: request.serverCa.replace(/[A-Za-z]{4}\n/, 'AAAA\n') }, 'serverCa'],
    [{ clientCertificate: Buffer.from(request.clientKey).toString() }, 'clientCertificate'],
    [{ clientKey: Buffer.from(request.clientCertificate) }, 'clientKey'],
    [{ clientKey: other.clientKey }, 'clientKey'],
    [{ clientKey: encrypted }, 'clientKey'],
    [{ servers: [] }, 'servers'],
    [{ servers: [...request.servers, ...request.servers] }, 'servers'],
    [{ name: 'with/slash' }, 'name'],
    [{ password: 'x' }, 'password'],
  ] as const) {
    const call = addProvider(admin, {
      ...request,
      ...change,
      servers: [...('servers' in change ? change.servers : request.servers)],
    })
    await assert.rejects(call, { status: 400, field }, JSON.stringify(Object.keys(change)))
  }
  assert.deepEqual(await admin.keyProviders(), { providers: [] })
})

test('a row that somebody changed does not open, and neither does one without its root key', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, await unreachableProvider('kms'))
  await bench.withDatabase((database) =>
    database
      .updateTable('key_provider')
      .set({ servers: JSON.stringify([{ host: '127.0.0.1', port: 2 }]) })
      .execute(),
  )
  await bench.restart()
  await assert.rejects(admin.keyProviderStatus('kms'), { status: 500, answerCode: 'internal' })
  assert.match(bench.logged(), /value-damaged/)
})

test('a fault of ours says nothing to the peer, and everything to the log', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, await unreachableProvider('kms'))
  bench.work.refusal = new Error('a detail for the log')
  await assert.rejects(admin.deleteKeyProvider('kms'), (error: Error & { status: number }) => {
    assert.equal(error.status, 500)
    assert.doesNotMatch(error.message, /detail/)
    return true
  })
  assert.match(bench.logged(), /a detail for the log/)
})
