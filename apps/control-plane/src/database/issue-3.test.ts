import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { authorityOf, keysOf, readVms } from '../app/work/vms/vm-store.ts'
import { backUpFolder } from '../backup/offline.ts'
import { restoreControlPlane } from '../backup/restore.ts'
import { verifyBackup } from '../backup/verify-backup.ts'
import { type Config, defaultKmip, writeConfig } from '../config.ts'
import { createWork } from '../create-work.ts'
import { freePort } from '../free-port.ts'
import { createLog } from '../log.ts'
import { placesIn } from '../places.ts'
import { startService } from '../service.ts'
import { copiesFolder } from './before-migration.ts'
import { migrations } from './migrations.ts'
import { openControlPlaneDatabase } from './open.ts'

const vectors = fileURLToPath(new URL('../../../../vectors/control-plane-issue-3/', import.meta.url))

/** The tables that were there, with their rows, as the dump has them. */
function rowsOf(path: string, tables?: readonly string[]): Record<string, Record<string, unknown>[]> {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    const names =
      tables ??
      database
        .prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
        .all()
        .map(({ name }) => String(name))
    return Object.fromEntries(names.map((name) => [name, database.prepare(`select * from "${name}"`).all()]))
  } finally {
    database.close()
  }
}

/** A data folder as issue 3 left it. */
async function oldFolder(context: TestContext): Promise<{ folder: string; rootKeyFile: string }> {
  const root = mkdtempSync(join(tmpdir(), 'cryptvisor-issue-3-'))
  context.after(() => rmSync(root, { recursive: true, force: true }))
  const folder = join(root, 'data')
  mkdirSync(folder, { mode: 0o700 })
  const places = placesIn(folder)
  const database = new DatabaseSync(places.database)
  database.exec(readFileSync(join(vectors, 'dump.sql'), 'utf8'))
  database.close()
  copyFileSync(join(vectors, 'ca.pem'), places.ca)
  const rootKeyFile = join(root, 'root.key')
  const rootKey = Buffer.from(readFileSync(join(vectors, 'root-key.hex'), 'utf8').trim(), 'hex')
  writeFileSync(rootKeyFile, rootKey, { mode: 0o600 })
  const config: Config = {
    version: 1,
    host: '127.0.0.1',
    port: await freePort('127.0.0.1'),
    hostsPort: await freePort('127.0.0.1'),
    rootKeyFile,
    labels: 'cryptvisor',
    kmip: defaultKmip,
    logLevel: 'info',
  }
  await writeConfig(folder, config)
  return { folder, rootKeyFile }
}

test('a database of issue 3 is migrated with all that it says: VMs, keys, providers, users, tasks, events', async (context) => {
  const { folder } = await oldFolder(context)
  const path = placesIn(folder).database
  const before = rowsOf(path)
  const database = await openControlPlaneDatabase(path)
  try {
    const vms = await readVms(database, {})
    assert.deepEqual(
      vms.map((vm) => [vm.row.name, vm.row.encryption !== null, vm.disks.length, vm.policy]),
      [
        ['plain', false, 1, 'Datastore Default'],
        ['web', true, 1, 'VM Encryption Policy'],
      ],
    )
    const [key] = keysOf(authorityOf(vms[1] ?? assert.fail('the VM web')))
    const row = await database
      .selectFrom('key')
      .selectAll()
      .where('key_id', '=', key?.keyId ?? '')
      .executeTakeFirst()
    assert.deepEqual([row?.state, row?.owner_name, row?.provider], ['current', 'web', 'lab-kms'])
    const done = await database
      .selectFrom('schema_migration' as 'cluster')
      .select('name')
      .execute()
    assert.equal(done.length, migrations.length)
    assert.equal((await database.selectFrom('installation').selectAll().execute()).length, 1)
  } finally {
    await database.destroy()
  }
  const after = rowsOf(path)
  for (const table of ['cluster', 'host', 'datastore', 'vm', 'disk', 'key', 'task', 'event', 'user', 'bearer']) {
    assert.equal(after[table]?.length, before[table]?.length, `${table} has its rows`)
    for (const [index, old] of (before[table] ?? []).entries()) {
      const now = after[table]?.[index] ?? {}
      // A column may be renamed or dropped by a later step, which is that step's own test; what stayed says the same.
      for (const [column, value] of Object.entries(old)) {
        if (column in now) assert.deepEqual(now[column], value, `${table}.${column}`)
      }
    }
  }
  const [copy] = readdirSync(copiesFolder(path))
  assert.match(copy ?? '', /0004-thin-and-devices\.sqlite$/)
  assert.deepEqual(rowsOf(join(copiesFolder(path), copy ?? ''), Object.keys(before)), before)
})

test('the whole service starts on it: its authority and the client keys of its providers open under the root key', async (context) => {
  const { folder, rootKeyFile } = await oldFolder(context)
  const log = createLog('error', { write: () => {} })
  const service = await startService({ folder, version: '1.2.3', clock: Date.now, log, createWork })
  try {
    const provider = await service.platform.keyProviders.get('lab-kms')
    assert.equal(provider.id, 'lab-kms')
    assert.equal((await service.platform.hosts.get('host-a')).connection, 'disconnected')
  } finally {
    await service.close()
  }
  const target = join(folder, '..', 'restored')
  const file = join(folder, '..', 'cp.backup')
  await backUpFolder(folder, file, '1.2.3', Date.now)
  const { manifest } = await verifyBackup(file, readFileSync(join(vectors, 'ca.pem'), 'utf8'))
  assert.deepEqual([manifest.counts.vms, manifest.counts.hosts], [2, 2])
  await restoreControlPlane({ folder: target, backup: file, rootKeyFile }, Date.now)
  assert.ok(readdirSync(target).includes('config.json'))
})
