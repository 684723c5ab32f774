import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AuditRecord } from '@cryptvisor/kmip-server'
import { openDatabase } from '@cryptvisor/sqlite'
import { AuditLog } from './audit-log.ts'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'

const record: AuditRecord = {
  time: new Date(1_800_000_000_000),
  client: 'me',
  certificateFingerprint: 'ab'.repeat(32),
  address: '127.0.0.1',
  protocolVersion: '1.4',
  operation: 'Get',
  objectId: 'id',
  resultStatus: 'Success',
  resultReason: null,
}

async function logOf(count: number) {
  const db = await openDatabase<Schema>(':memory:', migrations)
  const log = new AuditLog(db)
  for (let index = 0; index < count; index++) await log.append({ ...record, objectId: `id-${index % 7}` })
  return { db, log }
}

test('a chain that nobody touched is whole', async () => {
  const { db, log } = await logOf(2100)
  const head = await log.head()
  assert.equal(head?.position, 2100)
  assert.deepEqual(await log.check(), { records: 2100, head: head?.hash, brokenAt: null })
  assert.equal((await log.list({ objectId: 'id-3', limit: 5 })).length, 5)
  assert.deepEqual(
    (await log.list({ before: 3, limit: 5 })).map(({ position }) => position),
    [2, 1],
  )
  await db.destroy()
})

test('an empty one too', async () => {
  const { db, log } = await logOf(0)
  assert.deepEqual(await log.check(), { records: 0, head: null, brokenAt: null })
  await db.destroy()
})

test('a record that was changed, removed or put in is found', async () => {
  const changes: ((db: Awaited<ReturnType<typeof logOf>>['db']) => Promise<unknown>)[] = [
    (db) => db.updateTable('audit').set({ client: 'somebody else' }).where('position', '=', 5).execute(),
    (db) => db.updateTable('audit').set({ time_ms: 0 }).where('position', '=', 5).execute(),
    (db) => db.updateTable('audit').set({ result_reason: 'PermissionDenied' }).where('position', '=', 5).execute(),
    (db) => db.deleteFrom('audit').where('position', '=', 5).execute(),
    async (db) => {
      await db.deleteFrom('audit').where('position', '=', 5).execute()
      await db.updateTable('audit').set({ position: 5 }).where('position', '=', 6).execute()
    },
  ]
  for (const change of changes) {
    const { db, log } = await logOf(10)
    await change(db)
    assert.equal((await log.check()).brokenAt, 5)
    await db.destroy()
  }
})
