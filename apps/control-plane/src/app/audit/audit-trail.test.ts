import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSignedHead } from '@cryptvisor/control-plane-api'
import { Barrier, MemoryPhysical } from '@cryptvisor/key-store'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import type { Kysely } from 'kysely'
import { openControlPlaneDatabase } from '../../database/open.ts'
import type { Schema } from '../../database/schema.ts'
import { EventLog } from '../events.ts'
import type { Principal } from '../ports.ts'
import { AuditLog } from './audit-log.ts'
import { AuditSigner } from './audit-signer.ts'
import { AuditTrail } from './audit-trail.ts'

const clock = () => Date.parse('2026-11-24T12:00:00Z')
const auditor: Principal = { name: 'auditor', privileges: new Set(), can: () => true, grantedOn: [] }

/** An audit in a database of its own; `again` is the same after a restart. */
async function openAudit() {
  const database = await openControlPlaneDatabase(':memory:')
  using rootKey = Secret.random(32)
  const physical = new MemoryPhysical()
  const barrier = await Barrier.initialize(physical, rootKey)
  const again = async () => {
    const signer = await AuditSigner.open(database, barrier)
    const trail = new AuditTrail(database, signer, clock)
    const events = new EventLog(database, clock, [trail])
    return { trail, events, log: new AuditLog(database, signer, events, clock) }
  }
  return { database, again, ...(await again()), [Symbol.asyncDispose]: () => database.destroy() }
}

async function fill({ trail, events }: Awaited<ReturnType<typeof openAudit>>, count: number): Promise<void> {
  for (let number = 1; number <= count; number++) {
    if (number % 3 === 0) await events.record({ type: 'vm.created', vm: `vm-${number}`, text: 'made', user: 'admin' })
    else {
      await trail.note({
        kind: 'key',
        user: 'system',
        operation: 'key.fetch',
        object: `key kms/${number}`,
        outcome: 'success',
        origin: { requestId: `req-${number}`, address: '127.0.0.1', session: null },
      })
    }
  }
}

test('a chain that nobody touched is whole, also after a restart and before its first record', async () => {
  await using audit = await openAudit()
  assert.deepEqual((await audit.log.check()).problem, null)
  await fill(audit, 10)
  const { log, trail } = await audit.again()
  await trail.note({ kind: 'request', user: 'a', operation: 'POST /x', object: 'x', outcome: 'success' })
  const check = await log.check()
  assert.deepEqual([check.whole, check.recordCount, check.firstPosition, check.head?.position], [true, 11, 1, 11])
  assert.ok(check.head !== null && isSignedHead(check.head, check.publicKey))
  assert.deepEqual(
    (await log.list({ kind: 'event', limit: 2 })).map(({ position, operation }) => [position, operation]),
    [
      [9, 'vm.created'],
      [6, 'vm.created'],
    ],
  )
})

test('entries of the same moment are all there, each once', async () => {
  await using audit = await openAudit()
  await Promise.all(
    [...Array(1200).keys()].map((number) =>
      audit.trail.note({
        kind: 'key',
        user: 'system',
        operation: 'key.fetch',
        object: `${number}`,
        outcome: 'success',
      }),
    ),
  )
  const { whole, recordCount } = await audit.log.check()
  assert.deepEqual([whole, recordCount], [true, 1200])
  const objects = new Set(
    (await audit.database.selectFrom('audit').select('object').execute()).map((row) => row.object),
  )
  assert.equal(objects.size, 1200)
})

test('an event and its record are there together or not at all', async () => {
  await using audit = await openAudit()
  await fill(audit, 3)
  await assert.rejects(
    audit.events.transaction(async (_transaction, record) => {
      await record({ type: 'user.changed', text: 'lost' })
      throw new Error('no')
    }),
    /no/,
  )
  await fill(audit, 3)
  const { whole, recordCount } = await audit.log.check()
  assert.deepEqual([whole, recordCount], [true, 6])
})

const columns = [
  'time',
  'kind',
  'user_name',
  'operation',
  'object',
  'outcome',
  'text',
  'address',
  'request_id',
  'hash',
] as const

/** Everything that somebody who writes the database could do to one record. */
const tampering = fc.oneof(
  fc.record({
    what: fc.constant('change' as const),
    at: fc.integer({ min: 1, max: 9 }),
    column: fc.constantFrom(...columns),
  }),
  fc.record({
    what: fc.constantFrom('remove' as const, 'swap' as const, 'insert' as const),
    at: fc.integer({ min: 1, max: 9 }),
    column: fc.constant('text' as const),
  }),
)

async function tamper(
  database: Kysely<Schema>,
  { what, at, column }: typeof tampering extends fc.Arbitrary<infer Value> ? Value : never,
): Promise<void> {
  const move = (from: number, to: number) =>
    database.updateTable('audit').set({ position: to }).where('position', '=', from).execute()
  switch (what) {
    case 'change': {
      const values = { [column]: column === 'time' ? 1 : column === 'kind' ? 'request' : `x${column}` }
      return void (await database.updateTable('audit').set(values).where('position', '=', at).execute())
    }
    case 'remove':
      return void (await database.deleteFrom('audit').where('position', '=', at).execute())
    case 'swap':
      await move(at, 100)
      await move(at === 9 ? 8 : at + 1, at)
      return void (await move(100, at === 9 ? 8 : at + 1))
    case 'insert': {
      const row = await database.selectFrom('audit').selectAll().where('position', '=', at).executeTakeFirstOrThrow()
      for (let position = 9; position > at; position--) await move(position, position + 1)
      return void (await database
        .insertInto('audit')
        .values({ ...row, position: at + 1 })
        .execute())
    }
  }
}

test('any record that was changed, removed, put in or moved is found, and the first bad one is named', async () => {
  await fc.assert(
    fc.asyncProperty(tampering, fc.boolean(), async (change, goesOn) => {
      await using audit = await openAudit()
      await fill(audit, 9)
      await tamper(audit.database, change)
      const { trail, log } = await audit.again()
      if (goesOn && change.what !== 'insert') {
        await trail.note({ kind: 'key', user: 'system', operation: 'key.fetch', object: 'k', outcome: 'success' })
      }
      const check = await log.check()
      assert.equal(check.whole, false)
      const first = change.what === 'swap' && change.at === 9 ? 8 : change.at
      assert.ok(
        check.badPosition === first || (change.what === 'insert' && check.badPosition === first + 1),
        check.problem ?? '',
      )
    }),
    { numRuns: 60 },
  )
})

test('the end cannot be cut off, and a chain that was computed anew is not signed', async () => {
  await using audit = await openAudit()
  await fill(audit, 9)
  await audit.database.deleteFrom('audit').where('position', '>', 7).execute()
  assert.equal((await audit.log.check()).badPosition, 8)
  const last = await audit.database.selectFrom('audit').selectAll().where('position', '=', 7).executeTakeFirstOrThrow()
  await audit.database.updateTable('audit_head').set({ position: 7, hash: last.hash }).execute()
  assert.match((await audit.log.check()).problem ?? '', /not signed/)
  // Whatever is recorded afterwards does not heal it.
  const { trail, log } = await audit.again()
  await trail.note({ kind: 'key', user: 'system', operation: 'key.fetch', object: 'k', outcome: 'success' })
  const check = await log.check()
  assert.deepEqual([check.whole, check.badPosition], [false, 8])
  assert.match(check.problem ?? '', /somebody else wrote the head/)
})

test('an old end that is put back is noticed by the control plane that runs', async () => {
  await using audit = await openAudit()
  await fill(audit, 4)
  const old = await audit.database.selectFrom('audit_head').selectAll().executeTakeFirstOrThrow()
  await fill(audit, 4)
  await audit.database.deleteFrom('audit').where('position', '>', 4).execute()
  await audit.database.updateTable('audit_head').set(old).execute()
  await fill(audit, 1)
  assert.equal((await audit.log.check()).badPosition, 5)
})

test('a head that is gone is noticed, and recording goes on', async () => {
  await using audit = await openAudit()
  await fill(audit, 4)
  await audit.database.deleteFrom('audit_head').execute()
  assert.match((await audit.log.check()).problem ?? '', /head of the chain is missing/)
  await fill(audit, 1)
  assert.deepEqual([(await audit.log.check()).badPosition, (await audit.log.check()).recordCount], [5, 5])
})

test('what is removed needs its hash, and a signed checkpoint stands for it', async () => {
  await using audit = await openAudit()
  await fill(audit, 9)
  const [record] = await audit.log.list({ after: 4, limit: 1 })
  assert.ok(record)
  await assert.rejects(audit.log.prune({ through: 5, hash: '0'.repeat(64) }, auditor), {
    code: 'invalid',
    field: 'hash',
  })
  await assert.rejects(audit.log.prune({ through: 9, hash: record.hash }, auditor), {
    code: 'invalid',
    field: 'through',
  })
  await audit.log.prune({ through: 5, hash: record.hash }, auditor)
  const check = await audit.log.check()
  assert.deepEqual([check.whole, check.firstPosition, check.recordCount, check.head?.position], [true, 6, 5, 10])
  await audit.database.updateTable('audit_checkpoint').set({ position: 6 }).execute()
  await audit.database.deleteFrom('audit').where('position', '=', 6).execute()
  assert.match((await audit.log.check()).problem ?? '', /checkpoint at record 6 is not signed/)
})
