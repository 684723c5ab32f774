import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openDatabase } from '@cryptvisor/sqlite'
import { GroupCommit } from './group-commit.ts'

interface Schema {
  entry: { id: string }
}

async function open() {
  return await openDatabase<Schema>(':memory:', [
    {
      name: '0001-entry',
      up: async ({ schema }) => {
        await schema
          .createTable('entry')
          .addColumn('id', 'text', (column) => column.primaryKey())
          .execute()
      },
    },
  ])
}

test('of jobs that wait together, one that throws undoes itself alone', async () => {
  const db = await open()
  const commits = new GroupCommit(db)
  const failure = new Error('no')
  const jobs = Array.from({ length: 200 }, (_, index) =>
    commits.run(async (transaction) => {
      await transaction
        .insertInto('entry')
        .values({ id: `${index}` })
        .execute()
      await new Promise((resolve) => setImmediate(resolve))
      if (index % 3 === 0) throw failure
      return index
    }),
  )
  const outcomes = await Promise.allSettled(jobs)
  const expected = outcomes.flatMap((_, index) => (index % 3 === 0 ? [] : [`${index}`]))
  for (const [index, outcome] of outcomes.entries()) {
    if (outcome.status === 'rejected') assert.ok(index % 3 === 0 && outcome.reason === failure)
    else assert.equal(outcome.value, index)
  }
  const rows = await db.selectFrom('entry').select('id').execute()
  assert.deepEqual(rows.map(({ id }) => id).toSorted(), expected.toSorted())
  await db.destroy()
})

test('a statement that fails does not take the others with it', async () => {
  const db = await open()
  const commits = new GroupCommit(db)
  const insert = (id: string) =>
    commits.run(async (transaction) => {
      await transaction.insertInto('entry').values({ id }).execute()
    })
  const outcomes = await Promise.allSettled([insert('a'), insert('a'), insert('b')])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  await db.destroy()
})

test('when nothing can be committed, nobody is told that it was', async () => {
  const db = await open()
  const commits = new GroupCommit(db)
  await db.destroy()
  const outcomes = await Promise.allSettled([commits.run(async () => 1), commits.run(async () => 2)])
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
})
