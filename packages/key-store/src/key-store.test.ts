import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { holdsTrace } from '@cryptvisor/testkit'
import { type Area, Barrier, KeyStore, MemoryPhysical } from './index.ts'

const context = { type: 'SymmetricKey', owner: 'a', length: 256 }

async function store(): Promise<{ keys: KeyStore; physical: MemoryPhysical }> {
  const physical = new MemoryPhysical()
  using rootKey = Secret.random(32)
  return { keys: new KeyStore(physical, await Barrier.initialize(physical, rootKey)), physical }
}

async function bytesOf(physical: MemoryPhysical, area: Area, id: string): Promise<Uint8Array> {
  const bytes = await physical.read(area, id)
  assert.ok(bytes !== null)
  return bytes
}

test('a secret comes back, to the same context only', async () => {
  const { keys } = await store()
  using secret = Secret.random(32)
  await keys.put('k1', context, secret)
  using again = await keys.get('k1', context)
  assert.ok(again?.equal(secret))
  assert.equal(await keys.get('k2', context), null)
  for (const other of [{ ...context, owner: 'b' }, { ...context, length: 128 }, { type: 'SymmetricKey' }]) {
    await assert.rejects(keys.get('k1', other), { code: 'value-damaged' })
  }
})

test('the storage never holds the secret', async () => {
  const { keys, physical } = await store()
  const plain = crypto.getRandomValues(new Uint8Array(32))
  using secret = Secret.from(Uint8Array.from(plain))
  await keys.put('k1', context, secret)
  for (const area of ['value', 'wrapping-key'] as const) {
    assert.ok(!holdsTrace(Buffer.from(await bytesOf(physical, area, 'k1')), plain))
  }
})

test('entries cannot be swapped between ids, alone or both at once', async () => {
  const { keys, physical } = await store()
  using one = Secret.random(32)
  using other = Secret.random(32)
  await keys.put('k1', context, one)
  await keys.put('k2', context, other)
  await physical.write('value', 'k1', await bytesOf(physical, 'value', 'k2'))
  await assert.rejects(keys.get('k1', context), { code: 'value-damaged' })
  await physical.write('wrapping-key', 'k1', await bytesOf(physical, 'wrapping-key', 'k2'))
  await assert.rejects(keys.get('k1', context), { code: 'value-damaged' })
  using untouched = await keys.get('k2', context)
  assert.ok(untouched?.equal(other))
})

test('without its wrapping key a value is lost, and an erased one is gone', async () => {
  const { keys, physical } = await store()
  using secret = Secret.random(32)
  await keys.put('k1', context, secret)
  const value = await bytesOf(physical, 'value', 'k1')
  await keys.erase('k1')
  assert.equal(await keys.get('k1', context), null)
  assert.equal(await physical.read('wrapping-key', 'k1'), null)
  await physical.write('value', 'k1', value)
  await assert.rejects(keys.get('k1', context), { code: 'value-damaged' })
  await keys.erase('never there')
})
