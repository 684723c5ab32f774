import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Barrier, exercisePhysical } from '@cryptvisor/key-store'
import { attribute, customAttribute } from '@cryptvisor/kmip'
import type { StoredObject } from '@cryptvisor/kmip-server'
import { exerciseObjectStore } from '@cryptvisor/kmip-server/testing'
import { Secret } from '@cryptvisor/secret'
import { openDatabase } from '@cryptvisor/sqlite'
import type { Kysely } from 'kysely'
import { migrations } from './migrations.ts'
import type { Schema } from './schema.ts'
import { SqlObjectStore } from './sql-object-store.ts'
import { SqlPhysical } from './sql-physical.ts'

async function openStore(): Promise<{ db: Kysely<Schema>; store: SqlObjectStore }> {
  const db = await openDatabase<Schema>(':memory:', migrations)
  using rootKey = Secret.random(32)
  return { db, store: new SqlObjectStore(db, await Barrier.initialize(new SqlPhysical(db), rootKey)) }
}

function objectOf(id: string, owner = 'me'): StoredObject {
  return {
    id,
    owner,
    objectType: 'SymmetricKey',
    format: { keyFormatType: 'Raw', secretDataType: null, opaqueDataType: null },
    attributes: [
      { ...attribute('Cryptographic Length', 256), attributeIndex: 0 },
      { ...customAttribute('x-label', id), attributeIndex: 0 },
    ],
    nextIndexes: { 'Cryptographic Length': 1, 'x-label': 1 },
  }
}

test('SqlPhysical is a Physical', async () => {
  const db = await openDatabase<Schema>(':memory:', migrations)
  await exercisePhysical(new SqlPhysical(db))
  await db.destroy()
})

test('SqlObjectStore is an ObjectStore', async () => {
  const { db, store } = await openStore()
  await exerciseObjectStore(store)
  await db.destroy()
})

test('rows that were swapped or changed are noticed', async () => {
  const { db, store } = await openStore()
  const [one, other] = [objectOf('one'), objectOf('other')]
  using value = Secret.random(32)
  await store.transaction(async (transaction) => {
    await transaction.insert(one, value)
    await transaction.insert(other, value)
  })
  const read = (object: StoredObject) => store.transaction((transaction) => transaction.loadValue(object))
  // Whoever can write the database makes somebody else the owner, or the key a longer one.
  await assert.rejects(read({ ...one, owner: 'thief' }), { code: 'value-damaged' })
  const longer = { ...attribute('Cryptographic Length', 512), attributeIndex: 0 }
  await assert.rejects(read({ ...one, attributes: [longer] }), { code: 'value-damaged' })
  for (const table of ['sealed_value', 'wrapping_key'] as const) {
    await db.deleteFrom(table).where('id', '=', 'one').execute()
    await db.updateTable(table).set({ id: 'one' }).where('id', '=', 'other').execute()
  }
  await assert.rejects(read(one), { code: 'value-damaged' })
  await db.destroy()
})

test('locating goes through pages, in both orders', async () => {
  const { db, store } = await openStore()
  using value = Secret.random(16)
  const ids = Array.from({ length: 450 }, (_, index) => `id-${String(index).padStart(5, '0')}`)
  await store.transaction(async (transaction) => {
    for (const id of ids) await transaction.insert(objectOf(id), value)
  })
  for (const [order, expected] of [
    ['oldest-first', ids],
    ['newest-first', ids.toReversed()],
  ] as const) {
    const found = await store.transaction((transaction) => Array.fromAsync(transaction.locate('me', [], order)))
    assert.deepEqual(
      found.map(({ id }) => id),
      expected,
    )
  }
  await db.destroy()
})
