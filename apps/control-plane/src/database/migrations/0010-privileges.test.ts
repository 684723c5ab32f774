import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { openDatabase } from '@cryptvisor/sqlite'
import { migrations } from '../migrations.ts'
import { openControlPlaneDatabase } from '../open.ts'

const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-control-plane-'))
after(() => rmSync(folder, { recursive: true, force: true }))

/** A database as it was before privileges got their names, with its roles and users. */
interface Before {
  role: { name: string; privileges: string; system: number }
  user: { name: string; role_name: string; password_hash: string; created_at: number }
}

test('roles of before give what they gave, under today’s names', async () => {
  const path = join(folder, 'roles.sqlite')
  const before = await openDatabase<Before>(
    path,
    migrations.filter(({ name }) => name < '0010'),
  )
  const roles = {
    ops: ['System.Read', 'Task.Cancel', 'Host.Inventory.RemoveHost'],
    KeyAdmin: ['Datastore.Config'],
    NoAccess: [],
  }
  for (const [name, privileges] of Object.entries(roles)) {
    await before
      .insertInto('role')
      .values({ name, privileges: JSON.stringify(privileges), system: 0 })
      .execute()
  }
  await before
    .insertInto('user')
    .values({ name: 'kim', role_name: 'KeyAdmin', password_hash: '', created_at: 0 })
    .execute()
  await before.destroy()

  const database = await openControlPlaneDatabase(path)
  try {
    const found = await database.selectFrom('role').selectAll().where('system', '=', 0).orderBy('name').execute()
    assert.deepEqual(
      found.map(({ name, privileges }) => [name, JSON.parse(privileges)]),
      [
        ['KeyAdmin (before)', ['Datastore.Config', 'Datastore.Delete']],
        ['NoAccess (before)', []],
        [
          'ops',
          [
            'Cryptographer.ReadKeyServersInfo',
            'Global.CancelTask',
            'Host.Inventory.RemoveHostFromCluster',
            'StorageProfile.View',
            'System.Read',
          ],
        ],
      ],
    )
    const kim = await database.selectFrom('permission').selectAll().where('user_name', '=', 'kim').execute()
    assert.deepEqual(
      kim.map(({ role_name, object_kind, propagate }) => [role_name, object_kind, propagate]),
      [['KeyAdmin (before)', 'root', 1]],
    )
  } finally {
    await database.destroy()
  }
})
