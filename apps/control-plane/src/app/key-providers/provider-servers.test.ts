import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startBench } from '../../testing/bench.ts'
import { addProvider, unreachableProvider } from '../../testing/new-provider.ts'
import { defaultProvider } from './provider-choice.ts'

const a = { host: '127.0.0.1', port: 1 }
const b = { host: 'kms-b', port: 5696 }
const c = { host: '::1', port: 5697 }
const fingerprint256 = 'ab'.repeat(32)
const plain = (server: { host: string; port: number }) => ({ ...server, fingerprint256: null })

test('servers are added, moved and removed; the provider and its client key stay', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, await unreachableProvider('kms'))
  await admin.prepareClientTrust('kms', { way: 'csr' })
  await admin.addKeyServer('kms', { ...b, fingerprint256 })
  const three = await admin.addKeyServer('kms', { ...c, position: 0 })
  assert.deepEqual(three.servers, [plain(c), plain(a), { ...b, fingerprint256 }])
  await assert.rejects(admin.addKeyServer('kms', b), { status: 409, field: 'host' })
  const moved = await admin.changeKeyServer('kms', 'kms-b:5696', { host: 'kms-d', position: 0 })
  assert.deepEqual(moved.servers, [{ host: 'kms-d', port: 5696, fingerprint256 }, plain(c), plain(a)], 'its pin stays')
  await assert.rejects(admin.changeKeyServer('kms', 'kms-b:5696', { port: 1 }), {
    status: 404,
    message: /\[::1\]:5697/,
  })
  await assert.rejects(admin.changeKeyServer('kms', '[::1]:5697', a), { status: 409 })
  await admin.removeKeyServer('kms', '[::1]:5697')
  await admin.removeKeyServer('kms', 'kms-d:5696')
  await assert.rejects(admin.removeKeyServer('kms', '127.0.0.1:1'), { status: 400, message: /only server/ })
  await assert.rejects(admin.trustKeyServers('kms', {}), { status: 400, field: 'serverCa' })
  await bench.restart()
  const again = await bench.logIn()
  const detail = await again.keyProvider('kms')
  assert.deepEqual([detail.missing, detail.servers], [null, [plain(a)]])
  assert.equal(detail.clientTrust?.prepared?.way, 'csr')
  // Its key opens under what the row says now.
  await bench.service.platform.keyProviders.get('kms')
  const texts = (await again.events({ type: 'key-provider.changed', limit: 100 })).events.map(({ text }) => text)
  assert.ok(texts.some((text) => /server kms-b:5696 is kms-d:5696, number 1/.test(text)))
})

test('what people call a provider changes, and its name never does', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, await unreachableProvider('kms'))
  const changed = await admin.changeKeyProvider('kms', { displayName: 'Vault in Zurich' })
  assert.deepEqual([changed.name, changed.displayName], ['kms', 'Vault in Zurich'])
  assert.equal((await admin.changeKeyProvider('kms', { displayName: null })).displayName, null)
})

test('the nearest default wins: folder, folders around it, cluster, system', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  for (const name of ['system', 'of-cluster', 'of-folder']) await addProvider(admin, await unreachableProvider(name))
  await admin.createCluster({ name: 'branch' })
  await admin.createFolder({ name: 'Sales' })
  await admin.createFolder({ name: 'Berlin', parent: '/Sales' })
  const cluster = { kind: 'cluster', name: 'branch' } as const
  const folder = { kind: 'folder', name: '/Sales' } as const
  await assert.rejects(admin.setDefaultKeyProvider('of-cluster', { entity: cluster }), {
    answerCode: 'kms-unreachable',
  })
  await admin.setDefaultKeyProvider('of-cluster', { entity: cluster, force: true })
  await admin.setDefaultKeyProvider('of-folder', { entity: folder, force: true })
  await assert.rejects(admin.setDefaultKeyProvider('system', { entity: { ...folder, name: '/None' }, force: true }), {
    status: 404,
    field: 'entity',
  })
  assert.deepEqual(await admin.keyProviderDefaults(), {
    system: 'system',
    entities: [
      { ...folder, provider: 'of-folder' },
      { ...cluster, provider: 'of-cluster' },
    ],
  })
  assert.deepEqual((await admin.keyProvider('of-folder')).defaultOf, [folder])
  await bench.withDatabase(async (database) => {
    const clusterId = (await database.selectFrom('cluster').select('id').executeTakeFirstOrThrow()).id
    const berlin = await database
      .selectFrom('folder')
      .select('id')
      .where('name', '=', 'Berlin')
      .executeTakeFirstOrThrow()
    const choose = async (near: object) => (await defaultProvider(database, near))?.provider
    assert.equal(await choose({ clusterId, folderId: berlin.id }), 'of-folder', 'of a folder around it')
    assert.equal(await choose({ clusterId, folderId: null }), 'of-cluster')
    assert.equal(await choose({}), 'system')
  })
  await admin.clearDefaultKeyProvider({ entity: folder })
  await admin.clearDefaultKeyProvider({ entity: folder })
  await admin.deleteKeyProvider('of-cluster')
  assert.deepEqual(await admin.keyProviderDefaults(), { system: 'system', entities: [] })
  await admin.clearDefaultKeyProvider({})
  assert.equal((await admin.keyProviderDefaults()).system, null)
})
