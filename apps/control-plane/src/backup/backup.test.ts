import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { createRootKeyFile } from '@cryptvisor/key-store'
import { RestClient } from '@cryptvisor/rest'
import { openDatabase } from '@cryptvisor/sqlite'
import { copiesFolder } from '../database/before-migration.ts'
import { migrations } from '../database/migrations.ts'
import { openControlPlaneDatabase } from '../database/open.ts'
import { freePort } from '../free-port.ts'
import { initialize } from '../initialize.ts'
import { createLog } from '../log.ts'
import { placesIn } from '../places.ts'
import { startService } from '../service.ts'
import { SetUpError } from '../set-up-error.ts'
import { password, startBench } from '../testing/bench.ts'
import { TestWork } from '../testing/test-work.ts'
import { backUpFolder } from './offline.ts'
import { restoreControlPlane } from './restore.ts'
import { verifyBackup } from './verify-backup.ts'

function temporaryFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-backup-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const isBad = (pattern: RegExp) => (error: unknown) =>
  error instanceof SetUpError && error.code === 'bad-backup' && pattern.test(error.message)

test('a running control plane is backed up and comes up elsewhere as the same one, with its sessions over', async (context) => {
  const bench = await startBench(context)
  const folder = temporaryFolder(context)
  const admin = await bench.logIn()
  await admin.createCluster({ name: 'main' })
  const file = join(folder, 'cp.backup')
  const { manifest } = await backUpFolder(bench.folder, file, '1.2.3', Date.now)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.deepEqual(
    readdirSync(bench.folder).filter((name) => name.startsWith('backup-')),
    [],
    'no copy is left',
  )
  await admin.createCluster({ name: 'later' })
  await assert.rejects(backUpFolder(bench.folder, file, '1.2.3', Date.now), /is there already/)

  const target = join(folder, 'new')
  const { epoch } = await restoreControlPlane(
    {
      folder: target,
      backup: file,
      rootKeyFile: bench.rootKeyFile,
      port: await freePort('127.0.0.1'),
      hostsPort: await freePort('127.0.0.1'),
    },
    Date.now,
  )
  assert.ok(epoch > manifest.epoch)
  assert.equal(readFileSync(join(target, 'ca.pem'), 'utf8'), bench.ca)
  const service = await startService({
    folder: target,
    version: '1.2.3',
    clock: Date.now,
    log: createLog('error', { write: () => {} }),
    createWork: () => ({ work: new TestWork(), routes: () => {} }),
  })
  try {
    const { token } = await admin.login({ user: 'admin', password })
    assert.ok(token.length > 0, 'the old one goes on as before')
    await using old = new RestClient({ url: service.url, ca: bench.ca, bearerToken: token })
    await assert.rejects(new ControlPlaneClient(old).me(), /log in first/)
    await using anonymous = new RestClient({ url: service.url, ca: bench.ca })
    const login = await new ControlPlaneClient(anonymous).login({ user: 'admin', password })
    await using rest = new RestClient({ url: service.url, ca: bench.ca, bearerToken: login.token })
    const client = new ControlPlaneClient(rest)
    assert.deepEqual(
      (await client.clusters()).clusters.map(({ name }) => name),
      ['main'],
    )
    const [event] = (await client.events({ type: 'system.restored' })).events
    assert.match(event?.text ?? '', new RegExp(manifest.createdAt))
  } finally {
    await service.close()
  }
})

test('a backup is a tar that any tool reads, without the root key, and OpenSSL checks its signature', async (context) => {
  const bench = await startBench(context)
  const folder = temporaryFolder(context)
  const file = join(folder, 'cp.backup')
  await backUpFolder(bench.folder, file, '1.2.3', Date.now)
  execFileSync('tar', ['-xf', file, '-C', folder])
  assert.deepEqual(
    readdirSync(folder).toSorted(),
    ['ca.pem', 'config.json', 'control-plane.sqlite', 'cp.backup', 'manifest.json', 'manifest.sig'].toSorted(),
  )
  const place = (name: string) => join(folder, name)
  execFileSync('openssl', ['x509', '-in', place('ca.pem'), '-pubkey', '-noout', '-out', place('key.pem')])
  const answer = execFileSync(
    'openssl',
    ['dgst', '-sha256', '-verify', place('key.pem'), '-signature', place('manifest.sig'), place('manifest.json')],
    { encoding: 'utf8' },
  )
  assert.match(answer, /Verified OK/)
  const rootKey = readFileSync(bench.rootKeyFile)
  for (const name of ['cp.backup', 'control-plane.sqlite']) {
    const bytes = readFileSync(place(name))
    for (const form of [rootKey, Buffer.from(rootKey.toString('hex')), Buffer.from(rootKey.toString('base64'))]) {
      assert.ok(!bytes.includes(form), `${name} holds no root key`)
    }
  }
})

test('a backup that was changed anywhere is refused, and nothing of it is left', async (context) => {
  const bench = await startBench(context)
  const folder = temporaryFolder(context)
  const file = join(folder, 'cp.backup')
  await backUpFolder(bench.folder, file, '1.2.3', Date.now)
  const good = readFileSync(file)
  const changedAt = (offset: number) => {
    const bytes = Buffer.from(good)
    bytes[offset] = (bytes[offset] ?? 0) ^ 0x01
    return bytes
  }
  const at = (text: string) => good.indexOf(text)
  const cases: readonly (readonly [what: string, bytes: Buffer])[] = [
    ['the manifest', changedAt(at('createdAt') + 14)],
    ['the signature', changedAt(at('manifest.sig') + 512 + 20)],
    ['the configuration', changedAt(at('rootKeyFile'))],
    ['the certificate', changedAt(at('BEGIN CERTIFICATE') + 60)],
    ['the database', changedAt(good.length - 1024 - 4096)],
    ['its end', good.subarray(0, good.length - 1)],
    ['what follows', Buffer.concat([good, Buffer.alloc(1)])],
    ['all of it', Buffer.from('no backup at all')],
  ]
  for (const [what, bytes] of cases) {
    const path = join(folder, 'changed.backup')
    writeFileSync(path, bytes)
    await assert.rejects(verifyBackup(path, null), isBad(/not to be trusted/), what)
    const target = join(folder, 'target')
    await assert.rejects(
      restoreControlPlane({ folder: target, backup: path, rootKeyFile: bench.rootKeyFile }, Date.now),
      isBad(/not to be trusted/),
      what,
    )
    assert.deepEqual(readdirSync(target), [], what)
  }
  await verifyBackup(file, bench.ca)
})

test('somebody who makes and signs a backup of their own gets no control plane under our root key', async (context) => {
  const bench = await startBench(context)
  const folder = temporaryFolder(context)
  const forged = join(folder, 'forged')
  const ownKey = join(folder, 'own.key')
  await initialize(
    { folder: forged, rootKeyFile: ownKey, adminUser: 'admin', adminPassword: password, host: '127.0.0.1' },
    Date.now,
  )
  const file = join(folder, 'forged.backup')
  await backUpFolder(forged, file, '1.2.3', Date.now)
  await assert.rejects(verifyBackup(file, bench.ca), isBad(/another control plane/))
  const target = join(folder, 'target')
  const options = { folder: target, backup: file, rootKeyFile: bench.rootKeyFile }
  await assert.rejects(restoreControlPlane(options, Date.now), /root key/)
  assert.deepEqual(readdirSync(target), [])

  // Our own sealed rows under the forger's certificate do not open either.
  const { database } = placesIn(forged)
  const theirs = await openControlPlaneDatabase(database)
  const ours = await openControlPlaneDatabase(placesIn(bench.folder).database)
  try {
    await theirs.deleteFrom('sealed').execute()
    await theirs
      .insertInto('sealed')
      .values(await ours.selectFrom('sealed').selectAll().execute())
      .execute()
  } finally {
    await theirs.destroy()
    await ours.destroy()
  }
  await assert.rejects(backUpFolder(forged, join(folder, 'again.backup'), '1.2.3', Date.now))
})

test('a restore refuses a folder with a control plane, a missing or another root key, and a newer schema', async (context) => {
  const bench = await startBench(context)
  const folder = temporaryFolder(context)
  const file = join(folder, 'cp.backup')
  await backUpFolder(bench.folder, file, '1.2.3', Date.now)
  const options = { folder: join(folder, 'target'), backup: file, rootKeyFile: bench.rootKeyFile }
  await assert.rejects(restoreControlPlane({ ...options, folder: bench.folder }, Date.now), /without a control plane/)
  await assert.rejects(
    restoreControlPlane({ ...options, rootKeyFile: join(folder, 'none') }, Date.now),
    /no root key at/,
  )
  const other = join(folder, 'other.key')
  using _key = await createRootKeyFile(other)
  await assert.rejects(restoreControlPlane({ ...options, rootKeyFile: other }, Date.now), /root key/)
  await bench.withDatabase((database) =>
    database
      // A table that only the list of migrations knows.
      .insertInto('schema_migration' as 'cluster')
      .values({ position: 900, name: '9000-future' } as never)
      .execute(),
  )
  const newer = join(folder, 'newer.backup')
  await assert.rejects(backUpFolder(bench.folder, newer, '1.2.3', Date.now), /9000-future/)
  assert.ok(!existsSync(newer))
  assert.ok(!existsSync(join(options.folder, 'config.json')))
})

test('an older database is copied before it is migrated, the newest copies stay, and one of today is left alone', async (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, 'control-plane.sqlite')
  const old = await openDatabase(path, migrations.slice(0, 4))
  await old.destroy()
  const oldBytes = join(folder, 'old.sqlite')
  copyFileSync(path, oldBytes)
  let now = 1_700_000_000_000
  for (let round = 0; round < 5; round++) {
    copyFileSync(oldBytes, path)
    await (await openControlPlaneDatabase(path, () => ++now)).destroy()
  }
  const copies = readdirSync(copiesFolder(path)).toSorted()
  assert.deepEqual(
    copies,
    [3, 4, 5].map((count) => `${1_700_000_000_000 + count}-0004-thin-and-devices.sqlite`),
  )
  await (await openControlPlaneDatabase(path, () => ++now)).destroy()
  assert.deepEqual(readdirSync(copiesFolder(path)).toSorted(), copies)
})
