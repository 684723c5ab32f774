import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Kysely } from 'kysely'
import { emptyWriteAheadLog, isUniqueViolation, type Migration, openDatabase, SqliteError } from './index.ts'

interface Schema {
  account: { id: string; balance: number }
  entry: { id: string; account: string; note: Uint8Array }
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
  {
    name: '0002-entry',
    up: async (transaction) => {
      await transaction.schema
        .createTable('entry')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('account', 'text', (column) => column.notNull().references('account.id'))
        .addColumn('note', 'bytea', (column) => column.notNull())
        .execute()
    },
  },
]

function pathFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'cryptvisor-sqlite-'))
  context.after(() => rmSync(folder, { recursive: true }))
  return join(folder, 'inner', 'test.db')
}

async function balanceOf(db: Kysely<Schema>, id: string): Promise<number> {
  const row = await db.selectFrom('account').select('balance').where('id', '=', id).executeTakeFirstOrThrow()
  return row.balance
}

test('what was committed is there after opening again, and only the owner can read it', async (context) => {
  const path = pathFor(context)
  const first = await openDatabase<Schema>(path, migrations)
  await first.insertInto('account').values({ id: 'a', balance: 1_700_000_000_000 }).execute()
  for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o777, 0o600, file)
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700)
  await first.destroy()
  const second = await openDatabase<Schema>(path, migrations)
  assert.equal(await balanceOf(second, 'a'), 1_700_000_000_000)
  await second.destroy()
})

test('transactions that wait in between do not mix', async () => {
  const db = await openDatabase<Schema>(':memory:', migrations)
  await db.insertInto('account').values({ id: 'a', balance: 0 }).execute()
  const seen: number[] = []
  const add = () =>
    db.transaction().execute(async (transaction) => {
      const { balance } = await transaction.selectFrom('account').select('balance').executeTakeFirstOrThrow()
      await new Promise((resolve) => setImmediate(resolve))
      await transaction
        .updateTable('account')
        .set({ balance: balance + 1 })
        .execute()
    })
  await Promise.all([...Array(20).keys()].flatMap(() => [add(), balanceOf(db, 'a').then((value) => seen.push(value))]))
  assert.equal(await balanceOf(db, 'a'), 20)
  assert.equal(seen.length, 20)
  await db.destroy()
})

test('a transaction that throws leaves nothing', async () => {
  const db = await openDatabase<Schema>(':memory:', migrations)
  const failure = new Error('no')
  const attempt = db.transaction().execute(async (transaction) => {
    await transaction.insertInto('account').values({ id: 'a', balance: 1 }).execute()
    throw failure
  })
  await assert.rejects(attempt, failure)
  assert.deepEqual(await db.selectFrom('account').selectAll().execute(), [])
  await db.destroy()
})

test('a second process waits for the write lock instead of failing', async (context) => {
  const path = pathFor(context)
  const one = await openDatabase<Schema>(path, migrations)
  const two = await openDatabase<Schema>(path, migrations)
  await one.insertInto('account').values({ id: 'a', balance: 1 }).execute()
  await one.transaction().execute(async (transaction) => {
    const { balance } = await transaction.selectFrom('account').select('balance').executeTakeFirstOrThrow()
    assert.equal(await balanceOf(two, 'a'), balance)
    await transaction.updateTable('account').set({ balance: 2 }).execute()
  })
  assert.equal(await balanceOf(two, 'a'), 2)
  await two.updateTable('account').set({ balance: 3 }).execute()
  assert.equal(await balanceOf(one, 'a'), 3)
  await Promise.all([one.destroy(), two.destroy()])
})

test('unique violations are told from other errors', async () => {
  const db = await openDatabase<Schema>(':memory:', migrations)
  const insert = () => db.insertInto('account').values({ id: 'a', balance: 1 }).execute()
  await insert()
  await assert.rejects(insert(), (error) => isUniqueViolation(error))
  const dangling = db.insertInto('entry').values({ id: 'e', account: 'missing', note: Uint8Array.of(1) })
  await assert.rejects(dangling.execute(), (error) => error instanceof Error && !isUniqueViolation(error))
  await db.destroy()
})

test('bytes come back as they went, read at once or streamed', async () => {
  const db = await openDatabase<Schema>(':memory:', migrations)
  await db.insertInto('account').values({ id: 'a', balance: 1 }).execute()
  const ids = ['e1', 'e2', 'e3']
  for (const id of ids) {
    await db
      .insertInto('entry')
      .values({ id, account: 'a', note: Uint8Array.of(0, 255) })
      .execute()
  }
  const found: string[] = []
  for await (const row of db.selectFrom('entry').select(['id', 'note']).orderBy('id').stream()) {
    assert.deepEqual(row.note, Uint8Array.of(0, 255))
    found.push(row.id)
  }
  assert.deepEqual(found, ids)
  assert.equal((await db.selectFrom('entry').selectAll().execute()).length, 3)
  await db.destroy()
})

test('deleted bytes are in no file', async (context) => {
  const path = pathFor(context)
  const db = await openDatabase<Schema>(path, migrations)
  const marker = 'deleted-bytes-marker'
  await db.insertInto('account').values({ id: marker, balance: 1 }).execute()
  assert.ok(readFileSync(`${path}-wal`).includes(marker), 'the search finds it while it is there')
  await db.deleteFrom('account').execute()
  await emptyWriteAheadLog(db)
  for (const file of [path, `${path}-wal`]) assert.ok(!readFileSync(file).includes(marker), file)
  await db.destroy()
})

test('migrations run once, in order, all or none', async (context) => {
  const path = pathFor(context)
  await (await openDatabase<Schema>(path, migrations.slice(0, 1))).destroy()
  const broken: Migration = { name: '0003-broken', up: async () => Promise.reject(new Error('no')) }
  await assert.rejects(
    openDatabase<Schema>(path, [...migrations, broken]),
    (error) => error instanceof SqliteError && error.code === 'migration-failed' && /0003-broken/.test(error.message),
  )
  const db = await openDatabase<Schema>(path, migrations)
  assert.deepEqual(await db.selectFrom('entry').selectAll().execute(), [])
  await db.destroy()
})

test('a newer database and one of another program are refused', async (context) => {
  const path = pathFor(context)
  await (await openDatabase<Schema>(path, migrations)).destroy()
  await assert.rejects(openDatabase(path, migrations.slice(0, 1)), { name: 'SqliteError', code: 'newer-database' })
  await assert.rejects(openDatabase(path, migrations.toReversed()), { name: 'SqliteError', code: 'other-migrations' })
})

test('a file that is no database is refused and stays as it is', async (context) => {
  const path = pathFor(context)
  await (await openDatabase<Schema>(path, migrations)).destroy()
  writeFileSync(
    path,
    'this is no database, it is a text that is longer than a header of one hundred bytes is '.repeat(9),
  )
  const before = readFileSync(path)
  await assert.rejects(openDatabase(path, migrations), { name: 'SqliteError', code: 'cannot-open' })
  assert.deepEqual(readFileSync(path), before)
})
