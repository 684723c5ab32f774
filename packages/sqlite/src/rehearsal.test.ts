import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kysely } from 'kysely'
import { currentRehearsal, type Migration, openDatabase, rehearse } from './index.ts'

interface Schema {
  account: { id: string; balance: number }
}

const migrations: readonly Migration[] = [
  {
    name: '0001-account',
    up: async (transaction) => {
      await transaction.schema
        .createTable('account')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('balance', 'bigint', (column) => column.notNull())
        .execute()
    },
  },
]

const tooLong = () => new Error('too long')

async function idsOf(database: Kysely<Schema>): Promise<string[]> {
  return (await database.selectFrom('account').select('id').orderBy('id').execute()).map(({ id }) => id)
}

const add = (database: Kysely<Schema>, id: string) =>
  database.insertInto('account').values({ id, balance: 0 }).execute()

test('what a rehearsal wrote is there while it goes on, and gone afterwards', async () => {
  const database = await openDatabase<Schema>(':memory:', migrations)
  await add(database, 'before')
  const seen = await rehearse(
    database,
    async () => {
      await add(database, 'single')
      await database.transaction().execute(async (transaction) => {
        await transaction.insertInto('account').values({ id: 'whole', balance: 1 }).execute()
      })
      assert.notEqual(currentRehearsal(), undefined)
      return idsOf(database)
    },
    10_000,
    tooLong,
  )
  assert.deepEqual(seen, ['before', 'single', 'whole'])
  assert.deepEqual(await idsOf(database), ['before'])
  assert.equal(currentRehearsal(), undefined)
  await database.destroy()
})

test('a transaction that fails within a rehearsal takes back itself alone; the failure of all comes out', async () => {
  const database = await openDatabase<Schema>(':memory:', migrations)
  const failure = new Error('no')
  const attempt = rehearse(
    database,
    async () => {
      await add(database, 'kept')
      const transaction = database.transaction().execute(async (inner) => {
        await inner.insertInto('account').values({ id: 'lost', balance: 1 }).execute()
        throw failure
      })
      await assert.rejects(transaction, failure)
      assert.deepEqual(await idsOf(database), ['kept'])
      throw failure
    },
    10_000,
    tooLong,
  )
  await assert.rejects(attempt, failure)
  assert.deepEqual(await idsOf(database), [])
  await database.destroy()
})

test('others wait for the end of a rehearsal, and transactions within it for each other', async () => {
  const database = await openDatabase<Schema>(':memory:', migrations)
  const entered = Promise.withResolvers<void>()
  const leave = Promise.withResolvers<void>()
  const rehearsed = rehearse(
    database,
    async () => {
      entered.resolve()
      await leave.promise
      await Promise.all(
        ['a', 'b', 'c'].map((id) =>
          database.transaction().execute(async (transaction) => {
            await transaction.insertInto('account').values({ id, balance: 0 }).execute()
            await new Promise((resolve) => setImmediate(resolve))
          }),
        ),
      )
      return idsOf(database)
    },
    10_000,
    tooLong,
  )
  await entered.promise
  const other = add(database, 'real').then(() => idsOf(database))
  leave.resolve()
  assert.deepEqual(await rehearsed, ['a', 'b', 'c'])
  assert.deepEqual(await other, ['real'])
  await database.destroy()
})

test('a rehearsal that takes too long is given up, and what it does later writes nothing', async () => {
  const database = await openDatabase<Schema>(':memory:', migrations)
  const leave = Promise.withResolvers<void>()
  const late = Promise.withResolvers<unknown>()
  const attempt = rehearse(
    database,
    async () => {
      await add(database, 'early')
      await leave.promise
      await add(database, 'late').catch(late.resolve)
    },
    20,
    tooLong,
  )
  await assert.rejects(attempt, /too long/)
  assert.deepEqual(await idsOf(database), [])
  leave.resolve()
  assert.match(String(await late.promise), /given up/)
  assert.deepEqual(await idsOf(database), [])
  await database.destroy()
})

test('what outlives a rehearsal counts', async () => {
  const database = await openDatabase<Schema>(':memory:', migrations)
  const leave = Promise.withResolvers<void>()
  let after: Promise<unknown> = Promise.resolve()
  await rehearse(
    database,
    async () => {
      after = leave.promise.then(() => add(database, 'after'))
    },
    10_000,
    tooLong,
  )
  leave.resolve()
  await after
  assert.deepEqual(await idsOf(database), ['after'])
  await database.destroy()
})
