import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { KeyCache, keysHeldMax } from './key-cache.ts'

const key = { provider: 'kms', keyId: 'k-1' }

test('a key is held until it is removed, and its bytes are wiped then', () => {
  using cache = new KeyCache()
  const kek = Secret.random(32)
  cache.add(key, kek)
  assert.deepEqual(cache.keys, [key])
  cache.remove(key)
  assert.equal(cache.has(key), false)
  assert.ok(kek.wiped)
  cache.remove(key)
})

test('the same key again is fine, another under its name is refused; both leave the first alone', () => {
  using cache = new KeyCache()
  const kek = Secret.random(32)
  cache.add(key, kek)
  const same = kek.clone()
  cache.add(key, same)
  const other = Secret.random(32)
  assert.throws(() => cache.add(key, other), { code: 'key-conflict' })
  assert.ok(same.wiped && other.wiped && !kek.wiped)
})

test('a key of another size is not taken, and wiped', () => {
  using cache = new KeyCache()
  const short = Secret.random(16)
  assert.throws(() => cache.add(key, short), { code: 'internal' })
  assert.ok(short.wiped)
  assert.equal(cache.count, 0)
})

test('a lent key cannot be removed', () => {
  using cache = new KeyCache()
  cache.add(key, Secret.random(32))
  const [first, second] = [cache.borrow(key), cache.borrow(key)]
  first?.[Symbol.dispose]()
  first?.[Symbol.dispose]()
  assert.throws(() => cache.remove(key), { code: 'key-in-use' })
  second?.[Symbol.dispose]()
  cache.remove(key)
  assert.equal(cache.borrow(key), null)
})

test('names are told apart where their kids could be read in two ways', () => {
  using cache = new KeyCache()
  cache.add({ provider: 'a/b', keyId: 'c' }, Secret.random(32))
  assert.equal(cache.has({ provider: 'a', keyId: 'b/c' }), false)
})

test('the host key is one that is held, and goes with it', () => {
  using cache = new KeyCache()
  assert.throws(() => cache.setHostKey(key), { code: 'key-not-held' })
  cache.add(key, Secret.random(32))
  cache.setHostKey(key)
  assert.deepEqual(cache.hostKey, key)
  cache.remove(key)
  assert.equal(cache.hostKey, null)
})

test('disposing of the cache wipes everything', () => {
  const cache = new KeyCache()
  const kek = Secret.random(32)
  cache.add(key, kek)
  cache[Symbol.dispose]()
  assert.ok(kek.wiped)
  assert.deepEqual(cache.keys, [])
})

test('a key that there is no room for is wiped', () => {
  using cache = new KeyCache()
  for (let index = 0; index < keysHeldMax; index++) cache.add({ provider: 'kms', keyId: `${index}` }, Secret.random(32))
  const kek = Secret.random(32)
  assert.throws(() => cache.add({ provider: 'kms', keyId: 'more' }, kek), { code: 'too-many' })
  assert.ok(kek.wiped)
})
