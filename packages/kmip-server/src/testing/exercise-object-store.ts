import assert from 'node:assert/strict'
import { attribute, customAttribute } from '@cryptvisor/kmip'
import { Secret } from '@cryptvisor/secret'
import type { AuditRecord } from '../audit-record.ts'
import { indexKeyOf } from '../object/index-keys.ts'
import type { LocateOrder, ObjectStore } from '../object/object-store.ts'
import type { StoredObject } from '../object/stored-object.ts'

/** What every `ObjectStore` must do; for tests. Needs an empty store and throws an AssertionError where it falls short. */
export async function exerciseObjectStore(store: ObjectStore): Promise<void> {
  const mine = objectOf('id-1', 'me', 'one')
  const second = objectOf('id-2', 'me', 'two')
  const theirs = objectOf('id-3', 'them', 'one')
  using value = Secret.random(32)

  // What was inserted is there, with its value, for its owner alone.
  await store.transaction(async (transaction) => {
    for (const object of [mine, second, theirs]) await transaction.insert(object, value)
    assert.deepEqual(await transaction.load('me', 'id-1'), mine, 'seen within the transaction')
  })
  await store.transaction(async (transaction) => {
    assert.deepEqual(await transaction.load('me', 'id-1'), mine)
    assert.equal(await transaction.load('them', 'id-1'), null)
    assert.equal(await transaction.load('me', 'id-9'), null)
    using again = await transaction.loadValue(mine)
    assert.ok(again?.equal(value))
    assert.ok(!value.wiped, 'the value stays the caller’s')
  })

  // A transaction that throws leaves nothing, and hinders nobody.
  const failure = new Error('no')
  const failing = store.transaction(async (transaction) => {
    await transaction.insert(objectOf('id-4', 'me', 'four'), value)
    await transaction.eraseValue(mine)
    await transaction.append(record(failure.message))
    throw failure
  })
  await assert.rejects(failing, failure)
  await store.transaction(async (transaction) => {
    assert.equal(await transaction.load('me', 'id-4'), null)
    using again = await transaction.loadValue(mine)
    assert.ok(again?.equal(value))
  })
  await assert.rejects(
    store.transaction((transaction) => transaction.insert(mine, value)),
    'an id is there once',
  )

  await exerciseLocate(store, mine, second)
  await exerciseErasing(store, mine)

  // Transactions that run at once do not mix.
  await Promise.all(
    Array.from({ length: 10 }, () =>
      store.transaction(async (transaction) => {
        const object = await transaction.load('me', 'id-2')
        assert.ok(object !== null)
        const index = object.nextIndexes['x-n'] ?? 0
        const added = { ...customAttribute('x-n', `${index}`), attributeIndex: index }
        const nextIndexes = { ...object.nextIndexes, 'x-n': index + 1 }
        await transaction.update({ ...object, attributes: [...object.attributes, added], nextIndexes })
        await transaction.append(record('concurrent'))
      }),
    ),
  )
  const last = await store.transaction((transaction) => transaction.load('me', 'id-2'))
  assert.equal(last?.nextIndexes['x-n'], 10)
}

async function exerciseLocate(store: ObjectStore, mine: StoredObject, second: StoredObject): Promise<void> {
  const key = indexKeyOf('me', customAttribute('x-label', 'one'))
  const common = indexKeyOf('me', customAttribute('x-common', 'same'))
  assert.ok(key !== null && common !== null)
  const locate = (owner: string, keys: readonly string[], order: LocateOrder = 'oldest-first') =>
    store.transaction(async (transaction) => {
      const found = await Array.fromAsync(transaction.locate(owner, keys, order))
      return found.map(({ id }) => id)
    })
  assert.deepEqual(await locate('me', []), ['id-1', 'id-2'])
  assert.deepEqual(await locate('me', [], 'newest-first'), ['id-2', 'id-1'])
  assert.deepEqual(await locate('me', [common]), ['id-1', 'id-2'])
  assert.deepEqual(await locate('me', [common], 'newest-first'), ['id-2', 'id-1'])
  assert.deepEqual(await locate('me', [key, common]), ['id-1'])
  assert.deepEqual(await locate('them', [key]), [], 'keys are an owner’s own')
  assert.deepEqual(await locate('nobody', []), [])
  const renamed = { ...mine, attributes: second.attributes }
  await store.transaction((transaction) => transaction.update(renamed))
  assert.deepEqual(await locate('me', [key]), [], 'an old value finds nothing')
  await store.transaction((transaction) => transaction.update(mine))
  assert.deepEqual(await locate('me', [key]), ['id-1'])
}

async function exerciseErasing(store: ObjectStore, mine: StoredObject): Promise<void> {
  const destroyDate = { ...attribute('Destroy Date', new Date(1_700_000_000_000)), attributeIndex: 0 }
  const destroyed = { ...mine, attributes: [...mine.attributes, destroyDate] }
  await store.transaction(async (transaction) => {
    await transaction.eraseValue(mine)
    await transaction.update(destroyed)
  })
  await store.transaction(async (transaction) => {
    assert.equal(await transaction.loadValue(mine), null)
    assert.deepEqual(await transaction.load('me', 'id-1'), destroyed, 'attributes stay')
    const ids = (await Array.fromAsync(transaction.locate('me', [], 'oldest-first'))).map(({ id }) => id)
    assert.deepEqual(ids, ['id-2'], 'what is destroyed is not found')
  })
}

function objectOf(id: string, owner: string, label: string): StoredObject {
  const attributes = [
    attribute('Cryptographic Algorithm', 'AES'),
    attribute('Cryptographic Length', 256),
    attribute('Cryptographic Usage Mask', 12),
    attribute('State', 'PreActive'),
    attribute('Initial Date', new Date(1_700_000_000_000)),
    customAttribute('x-label', label),
    customAttribute('x-common', 'same'),
    customAttribute('x-bytes', { type: 'ByteString', value: Uint8Array.of(0, 255) }),
  ]
  return {
    id,
    owner,
    objectType: 'SymmetricKey',
    format: { keyFormatType: 'Raw', secretDataType: null, opaqueDataType: null },
    attributes: attributes.map((each) => ({ ...each, attributeIndex: 0 })),
    nextIndexes: Object.fromEntries(attributes.map((each) => [each.attributeName, 1])),
  }
}

function record(operation: string): AuditRecord {
  return {
    time: new Date(1_700_000_000_123),
    client: 'me',
    certificateFingerprint: 'ab'.repeat(32),
    address: '127.0.0.1',
    protocolVersion: '1.4',
    operation,
    objectId: null,
    resultStatus: 'Success',
    resultReason: null,
  }
}
