import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Event, type EventType, privileges } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { exerciseKeyProvider } from '@cryptvisor/key-provider/testing'
import { Secret } from '@cryptvisor/secret'
import { holdsTrace } from '@cryptvisor/testkit'

import { placesIn } from '../places.ts'
import { type Bench, startBench } from '../testing/bench.ts'
import { addProvider, unreachableProvider } from '../testing/new-provider.ts'

const password = 'correct horse battery staple'
const secretOf = (bytes: string | Uint8Array) => Secret.from(Uint8Array.from(Buffer.from(bytes)))

/** Reads a backup out. */
async function backUp(client: ControlPlaneClient, name: string, word = password): Promise<Buffer> {
  using secret = secretOf(word)
  const { stream } = await client.backupKeyProvider(name, secret)
  return Buffer.concat(await stream.toArray())
}

async function confirm(client: ControlPlaneClient, name: string, file: Buffer) {
  return client.confirmBackup(name, { sha256: createHash('sha256').update(file).digest('hex') })
}

async function restore(client: ControlPlaneClient, file: Buffer, word = password) {
  using content = secretOf(file)
  const { id } = await client.sendBackup(content)
  using secret = secretOf(word)
  return client.restoreBackup(id, secret)
}

async function eventsOf(client: ControlPlaneClient, type: EventType): Promise<Event[]> {
  return (await client.events({ type })).events
}

const provider = (bench: Bench, name: string) => bench.service.platform.keyProviders.get(name)

function hexOf(secret: Secret): string {
  return secret.expose((bytes) => Buffer.from(bytes).toString('hex'))
}

test('no key, no default and a yellow status before the backup is confirmed; then all of it', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  const made = await admin.addNativeProvider('nkp')
  assert.deepEqual([made.kind, made.isDefault, made.servers, made.native?.isBackedUp], ['native', false, [], false])
  assert.match(made.missing ?? '', /key-provider backup nkp/)
  await assert.rejects((await provider(bench, 'nkp')).createKey(), { code: 'not-backed-up' })
  await assert.rejects(admin.setDefaultKeyProvider('nkp'), { answerCode: 'in-use', message: /not backed up/ })
  assert.equal((await admin.keyProviderStatus('nkp')).health, 'yellow')
  assert.equal((await eventsOf(admin, 'kms.crypto.not-backed-up')).length, 1)

  const file = await backUp(admin, 'nkp')
  await assert.rejects((await provider(bench, 'nkp')).createKey(), { code: 'not-backed-up' }, 'not confirmed yet')
  await assert.rejects(admin.confirmBackup('nkp', { sha256: '0'.repeat(64) }), { answerCode: 'invalid' })
  const confirmed = await confirm(admin, 'nkp', file)
  assert.deepEqual([confirmed.missing, confirmed.native?.isBackedUp, confirmed.isDefault], [null, true, true])
  assert.equal((await eventsOf(admin, 'kms.crypto.all-backed-up')).length, 1)
  assert.equal((await admin.keyProviderStatus('nkp')).health, 'green')
  assert.match(await (await provider(bench, 'nkp')).createKey(), /^1-/)

  await backUp(admin, 'nkp')
  assert.equal((await eventsOf(admin, 'key-provider.backup-exported')).length, 2, 'each export is told of')
})

test('it keeps the life of keys as every provider does, over a restart too', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await admin.addNativeProvider('nkp')
  await confirm(admin, 'nkp', await backUp(admin, 'nkp'))
  const options = { takesLabels: true, remembersDestroyed: true, hasServers: false }
  await exerciseKeyProvider(context, await provider(bench, 'nkp'), options)
  const keyId = await (await provider(bench, 'nkp')).createKey()
  using before = await (await provider(bench, 'nkp')).getKey(keyId)
  const gone = await (await provider(bench, 'nkp')).createKey()
  await (await provider(bench, 'nkp')).destroyKey(gone)
  await bench.restart()
  using after = await (await provider(bench, 'nkp')).getKey(keyId)
  assert.ok(before.equal(after))
  await assert.rejects((await provider(bench, 'nkp')).getKey(gone), { code: 'key-missing' })
  const database = readFileSync(placesIn(bench.folder).database)
  before.expose((bytes) => assert.ok(!holdsTrace(database, Buffer.from(bytes)), 'no key lies in the database'))
})

test('a restored provider derives the same keys, elsewhere, and goes on', async (context) => {
  const one = await startBench(context)
  const first = await one.logIn()
  await first.addNativeProvider('nkp')
  await confirm(first, 'nkp', await backUp(first, 'nkp'))
  await first.rotateKeyProvider('nkp')
  const file = await backUp(first, 'nkp')
  await confirm(first, 'nkp', file)
  const keyId = await (await provider(one, 'nkp')).createKey()
  using key = await (await provider(one, 'nkp')).getKey(keyId)

  const two = await startBench(context)
  const second = await two.logIn()
  const restored = await restore(second, file)
  assert.deepEqual(
    [restored.name, restored.native?.generation, restored.native?.isBackedUp, restored.isDefault],
    ['nkp', 2, true, true],
  )
  using same = await (await provider(two, 'nkp')).getKey(keyId)
  assert.ok(same.equal(key))
  assert.match(await (await provider(two, 'nkp')).createKey(), /^2-/)
  assert.equal((await eventsOf(second, 'key-provider.restored')).length, 1)

  await assert.rejects(restore(second, file), { answerCode: 'already-exists', message: /nothing to restore/ })
  const three = await startBench(context)
  const third = await three.logIn()
  await third.addNativeProvider('nkp')
  await assert.rejects(restore(third, file), { answerCode: 'already-exists', message: /it is another one/ })
})

test('a control plane that was restored has the keys that were made after its backup, and no others', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await admin.addNativeProvider('nkp')
  await confirm(admin, 'nkp', await backUp(admin, 'nkp'))
  const { database } = bench.service.platform
  const nkp = await provider(bench, 'nkp')
  const [keyId, gone] = [await nkp.createKey(), await nkp.createKey()]
  using before = await nkp.getKey(keyId)
  await nkp.destroyKey(gone)
  // What a restore of an older backup leaves: the record of the key is not in it.
  await database.deleteFrom('native_key').where('key_id', '=', keyId).execute()
  await assert.rejects(nkp.getKey(keyId), { code: 'key-missing' })
  await database.updateTable('installation').set({ restored_at: Date.now() }).execute()
  using after = await nkp.getKey(keyId)
  assert.ok(before.equal(after))
  assert.equal((await nkp.describeKey(keyId))?.state, 'Active')
  await assert.rejects(nkp.getKey(gone), { code: 'key-missing' })
  await assert.rejects(nkp.getKey(`1-${'0'.repeat(32)}-${'0'.repeat(16)}`), { code: 'key-missing' })
})

test('what does not open is refused, in words, and may be tried again', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await admin.addNativeProvider('nkp')
  const file = await backUp(admin, 'nkp')
  await admin.deleteKeyProvider('nkp')
  await assert.rejects(restore(admin, file, 'another horse'), { answerCode: 'invalid', field: 'password' })
  await assert.rejects(restore(admin, file.subarray(0, -1)), { answerCode: 'invalid', field: 'backup' })
  await assert.rejects(restore(admin, Buffer.from('no backup')), { answerCode: 'invalid', field: 'backup' })
  assert.deepEqual((await admin.keyProviders()).providers, [])
  using content = secretOf(file)
  const { id } = await admin.sendBackup(content)
  using wrong = secretOf('wrong horse battery')
  using right = secretOf(password)
  await assert.rejects(admin.restoreBackup(id, wrong), { answerCode: 'invalid' })
  assert.equal((await admin.restoreBackup(id, right)).name, 'nkp')
  await assert.rejects(admin.restoreBackup(id, right), { answerCode: 'not-found' })
})

test('passwords are long enough, standard providers have no backup, and names are taken once', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await addProvider(admin, await unreachableProvider('kms'))
  await admin.addNativeProvider('nkp')
  await assert.rejects(backUp(admin, 'nkp', 'short'), { answerCode: 'invalid', field: 'password' })
  await assert.rejects(backUp(admin, 'kms'), { answerCode: 'invalid', message: /standard/ })
  await assert.rejects(backUp(admin, 'other'), { answerCode: 'not-found' })
  for (const name of ['nkp', 'kms'])
    await assert.rejects(admin.addNativeProvider(name), { answerCode: 'already-exists' })
  assert.deepEqual(
    (await admin.keyProviders()).providers.map(({ name, kind, isDefault }) => [name, kind, isDefault]),
    [
      ['kms', 'standard', true],
      ['nkp', 'native', false],
    ],
  )
})

test('a new derivation key: no keys before its backup, old ones go on, and the old one goes when nothing needs it', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await admin.addNativeProvider('nkp')
  await assert.rejects(
    admin.rotateKeyProvider('nkp'),
    { answerCode: 'in-use' },
    'one without a backup is not left behind',
  )
  const first = await backUp(admin, 'nkp')
  await confirm(admin, 'nkp', first)
  const nkp = await provider(bench, 'nkp')
  const keyId = await nkp.createKey()
  await nkp.activateKey(keyId)
  await admin.rotateKeyProvider('nkp')
  assert.equal((await eventsOf(admin, 'kms.crypto.not-backed-up-after-update')).length, 1)
  await assert.rejects(nkp.createKey(), { code: 'not-backed-up' })
  using old = await nkp.getKey(keyId)
  await assert.rejects(confirm(admin, 'nkp', first), { answerCode: 'invalid' }, 'a backup of before')
  await confirm(admin, 'nkp', await backUp(admin, 'nkp'))
  using fresh = await nkp.getKey(await nkp.createKey())
  assert.ok(!fresh.equal(old))

  await assert.rejects(admin.destroyGeneration('nkp', 2), { answerCode: 'in-use', message: /present one/ })
  await assert.rejects(admin.destroyGeneration('nkp', 1), { answerCode: 'in-use', message: /1 key .*not destroyed/ })
  await assert.rejects(admin.destroyGeneration('nkp', 7), { answerCode: 'not-found' })
  await nkp.revokeKey(keyId, 'cessation-of-operation')
  await nkp.destroyKey(keyId)
  const left = await admin.destroyGeneration('nkp', 1)
  assert.deepEqual(
    left.native?.generations.map(({ generation }) => generation),
    [2],
  )
  await bench.withDatabase(async (database) => {
    const rows = await database.selectFrom('derivation_key').select('generation').execute()
    assert.deepEqual(rows, [{ generation: 2 }])
  })
})

test('the documented way with openssl and Python derives the same key', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await admin.addNativeProvider('nkp')
  await confirm(admin, 'nkp', await backUp(admin, 'nkp'))
  await admin.rotateKeyProvider('nkp')
  const file = await backUp(admin, 'nkp')
  await confirm(admin, 'nkp', file)
  const keyId = await (await provider(bench, 'nkp')).createKey()
  using key = await (await provider(bench, 'nkp')).getKey(keyId)
  const docs = readFileSync(new URL('../../../../docs/native-provider.md', import.meta.url), 'utf8')
  const script = /```sh derive-key\.sh\n([\s\S]*?)```/.exec(docs)?.[1]
  assert.ok(script !== undefined)
  const path = `${bench.folder}/backup.p12`
  writeFileSync(path, file)
  const run = (word: string) =>
    spawnSync('sh', ['-c', script, 'derive-key.sh', path, `nkp/${keyId}`], { input: `${word}\n`, encoding: 'latin1' })
  const { status, stdout, stderr } = run(password)
  assert.equal(status, 0, stderr)
  assert.equal(Buffer.from(stdout, 'latin1').toString('hex'), hexOf(key))
  assert.notEqual(run('wrong').status, 0)
})

test('who may manage key servers alone does not get derivation keys', async (context) => {
  const bench = await startBench(context)
  const admin = await bench.logIn()
  await admin.addNativeProvider('nkp')
  await admin.createRole({
    name: 'servers',
    privileges: privileges.filter((privilege) => privilege !== 'Cryptographer.ManageKeys'),
  })
  await admin.createUser({ name: 'sam', password: 'a long enough password', role: 'servers' })
  const { token } = await bench.client().login({ user: 'sam', password: 'a long enough password' })
  await assert.rejects(backUp(bench.client(token), 'nkp'), { answerCode: 'no-privilege' })
})
