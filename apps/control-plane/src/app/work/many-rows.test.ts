import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import type { KeyRow } from '../../database/schema.ts'
import { admin, World } from './testing/world.ts'

const count = 10_000
const dayMs = 86_400_000
const perInsert = 500

const numbers = [...Array(count).keys()]

async function insertKeys(world: World, more: Pick<KeyRow, 'state'> & Partial<KeyRow>): Promise<void> {
  const owner = { owner_kind: 'vm' as const, owner_id: 'gone', owner_name: 'gone', task_id: null }
  for (let start = 0; start < count; start += perInsert) {
    const rows = numbers.slice(start, start + perInsert).map((number) => ({
      ...{ provider: 'vault', key_id: `many-${number}`, ...owner, created_at: 0 },
      ...more,
    }))
    await world.process.database.insertInto('key').values(rows).execute()
  }
}

/** What `act` asks of the database. */
async function costOf(world: World, act: () => Promise<unknown>): Promise<{ queries: number; rows: number }> {
  const { faults } = world.process
  const before = { queries: faults.points.length, rows: faults.rowsRead }
  await act()
  const points = faults.points.slice(before.queries)
  return { queries: points.filter(({ name }) => name.startsWith('db ')).length, rows: faults.rowsRead - before.rows }
}

test(`${count} retired keys are ordered to be destroyed in a few queries`, async (context) => {
  const world = await World.start(context)
  await insertKeys(world, { state: 'retired', retired_at: Date.now() - 100 * dayMs })
  const cost = await costOf(world, async () => {
    const { orders, skipped } = await world.work.keyLives.retired.destroy({ olderThanDays: 30 }, admin)
    assert.deepEqual([orders.length, skipped.length], [count, 0])
  })
  assert.ok(cost.queries < 100, `${cost.queries} queries`)
  assert.ok(cost.rows < 4 * count, `${cost.rows} rows`)
  const again = await world.work.keyLives.retired.destroy({ olderThanDays: 30 }, admin)
  assert.equal(again.skipped.length, count)
  assert.match(again.skipped[0]?.why ?? '', /going to be destroyed already/)
})

test(`looking whether ${count} VMs comply reads each VM and each key once`, async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const { database } = world.process
  const vm = await database.selectFrom('vm').selectAll().executeTakeFirstOrThrow()
  const policy = await database
    .selectFrom('policy')
    .selectAll()
    .where('name', '=', encryptionPolicy)
    .executeTakeFirstOrThrow()
  await insertKeys(world, { state: 'current' })
  for (let start = 0; start < count; start += perInsert) {
    const rows = numbers.slice(start, start + perInsert).map((number) => ({
      ...vm,
      ...{ id: `vm-${number}`, name: `vm-${number}`, folder: `vm-${number}` },
      ...{ policy_id: policy.id, policy_version: policy.version },
      encryption: JSON.stringify({
        keys: [{ provider: 'vault', keyId: `many-${number}` }],
        generation: 1,
        luksUuid: null,
      }),
    }))
    await database.insertInto('vm').values(rows).execute()
  }
  const cost = await costOf(world, () => world.work.policyChanged(encryptionPolicy))
  const kept = await database.selectFrom('vm_compliance').select('state').where('vm_id', 'like', 'vm-%').execute()
  assert.equal(kept.filter(({ state }) => state === 'compliant').length, count)
  assert.ok(cost.rows < 6 * count, `${cost.rows} rows`)
})
