import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { privileges } from '@cryptvisor/control-plane-api'
import { isUniqueViolation, openDatabase } from '@cryptvisor/sqlite'
import { sql } from 'kysely'
import { readVms } from '../app/work/vms/vm-store.ts'
import { migrations } from './migrations.ts'
import { openControlPlaneDatabase } from './open.ts'
import type { Schema } from './schema.ts'

const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-control-plane-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('roles and policies are there, and a second start leaves one of each with today’s privileges', async () => {
  const path = join(folder, 'seeds.sqlite')
  const first = await openControlPlaneDatabase(path)
  const policiesBefore = await first.selectFrom('policy').selectAll().orderBy('name').execute()
  await first.updateTable('role').set({ privileges: '["System.Read"]' }).where('name', '=', 'Admin').execute()
  await first.destroy()
  const database = await openControlPlaneDatabase(path)
  try {
    const roles = await database.selectFrom('role').selectAll().orderBy('name').execute()
    assert.deepEqual(
      roles.map((role) => [role.name, role.system]),
      [
        ['Admin', 1],
        ['KeyAdmin', 1],
        ['NoAccess', 1],
        ['NoCryptoAdmin', 1],
        ['ReadOnly', 1],
      ],
    )
    const privilegesOf = (name: string) => JSON.parse(roles.find((role) => role.name === name)?.privileges ?? '')
    assert.deepEqual(privilegesOf('Admin'), privileges)
    assert.deepEqual(privilegesOf('NoAccess'), [])
    const lacking = privileges.filter((privilege) => !privilegesOf('NoCryptoAdmin').includes(privilege))
    assert.deepEqual(
      lacking.filter((privilege) => !privilege.startsWith('Cryptographer.')),
      ['Global.Diagnostics', 'Host.Inventory.AddHostToCluster'],
    )
    assert.equal(lacking.length, 14 + 2)
    assert.deepEqual(await database.selectFrom('policy').selectAll().orderBy('name').execute(), policiesBefore)
    assert.deepEqual(
      policiesBefore.map(({ name, encryption }) => [name, encryption]),
      [
        ['Datastore Default', 0],
        ['VM Encryption Policy', 1],
      ],
    )
  } finally {
    await database.destroy()
  }
})

test('names are unique, rows do not dangle, and there is one default provider at most', async () => {
  const database = await openControlPlaneDatabase(':memory:')
  try {
    await database.insertInto('cluster').values({ id: 'c1', name: 'alpha' }).execute()
    await assert.rejects(
      database.insertInto('cluster').values({ id: 'c2', name: 'alpha' }).execute(),
      isUniqueViolation,
    )
    const datastore = { id: 'd1', name: 'local', cluster_id: 'nowhere', path: '/srv/vms' }
    await assert.rejects(database.insertInto('datastore').values(datastore).execute(), /FOREIGN KEY/)
    const provider = {
      is_default: 1,
      servers: '[]',
      server_ca: '',
      display_name: null,
      created_at: 0,
    }
    await database
      .insertInto('key_provider')
      .values({ ...provider, name: 'one' })
      .execute()
    await assert.rejects(
      database
        .insertInto('key_provider')
        .values({ ...provider, name: 'two' })
        .execute(),
      isUniqueViolation,
    )
    await database
      .insertInto('key_provider')
      .values({ ...provider, name: 'two', is_default: 0 })
      .execute()
    await database
      .insertInto('key_provider')
      .values({ ...provider, name: 'three', is_default: 0 })
      .execute()
  } finally {
    await database.destroy()
  }
})

test('a database of the first version is taken up, with its users', async () => {
  const path = join(folder, 'old.sqlite')
  const old = await openDatabase<Schema>(path, migrations.slice(0, 1))
  await sql`insert into role (name, privileges, system) values ('Admin', '[]', 1)`.execute(old)
  await sql`insert into user (name, role_name, password_hash, failed_logins, locked_until, created_at)
    values ('admin', 'Admin', 'hash', 7, 9, 1)`.execute(old)
  await old.destroy()
  const database = await openControlPlaneDatabase(path)
  try {
    assert.deepEqual(await database.selectFrom('user').selectAll().execute(), [
      { name: 'admin', password_hash: 'hash', created_at: 1 },
    ])
    const permissions = await database.selectFrom('permission').selectAll().execute()
    assert.deepEqual(
      permissions.map(({ id: _, ...rest }) => rest),
      [
        {
          ...{ object_kind: 'root', object_id: 'root', user_name: 'admin', group_name: null },
          ...{ role_name: 'Admin', propagate: 1, created_at: 1 },
        },
      ],
    )
    assert.deepEqual(await database.selectFrom('login_failure').selectAll().execute(), [])
  } finally {
    await database.destroy()
  }
})

test('a database from before thin disks and devices is taken up, with its VMs', async () => {
  const path = join(folder, 'older.sqlite')
  const old = await openDatabase<Schema>(path, migrations.slice(0, 3))
  await sql`insert into cluster (id, name) values ('c', 'alpha')`.execute(old)
  await sql`insert into host (id, name, cluster_id, url, hardware_uuid, certificate_serial, certificate_expires_at,
    crypto_supported, created_at) values ('h', 'one', 'c', 'https://one', 'u', 's', 0, 1, 0)`.execute(old)
  await sql`insert into datastore (id, name, cluster_id, path) values ('d', 'local', 'c', '/srv')`.execute(old)
  await sql`insert into policy (id, name, description, encryption) values ('p', 'mine', '', 1)`.execute(old)
  await sql`insert into vm (id, name, host_id, datastore_id, folder, generation, policy_id, encryption, lock_state,
    lock_missing_keys, created_at) values ('v', 'web', 'h', 'd', 'web', 3, 'p', null, 'unlocked', '[]', 0)`.execute(old)
  await sql`insert into disk (id, vm_id, number, layer_id, format, payload_bytes, virtual_bytes, policy_id)
    values ('k', 'v', 0, 'l', 'raw', 512, 512, 'p')`.execute(old)
  await old.destroy()
  const database = await openControlPlaneDatabase(path)
  try {
    const [vm] = await readVms(database, {})
    assert.deepEqual([vm?.row.generation, vm?.policy, vm?.disks.length], [3, 'mine', 1])
    assert.deepEqual([vm?.disks[0]?.device, vm?.disks[0]?.layer_id], [null, 'l'])
    const policies = await database.selectFrom('policy').select(['name', 'thin']).orderBy('name').execute()
    assert.deepEqual(
      policies.find(({ name }) => name === 'mine'),
      { name: 'mine', thin: 0 },
    )
  } finally {
    await database.destroy()
  }
})
