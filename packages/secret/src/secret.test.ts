import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { Secret, secretSizeMax } from './secret.ts'

test('using wipes at the end of the block', () => {
  let kept: Secret
  let lent: Uint8Array
  {
    using secret = Secret.from(Uint8Array.of(1, 2, 3))
    kept = secret
    lent = secret.expose((bytes) => bytes)
    assert.deepEqual([...lent], [1, 2, 3])
  }
  assert.ok(kept.wiped)
  assert.equal(kept.sizeBytes, 3)
  assert.deepEqual([...lent], [0, 0, 0])
  assert.throws(() => kept.expose(() => 0), /wiped/)
})

test('nothing prints the bytes', () => {
  using secret = Secret.from(Uint8Array.of(1, 2, 3))
  assert.equal(`${secret}`, '[secret]')
  assert.equal(JSON.stringify({ secret }), '{"secret":"[secret]"}')
  assert.equal(inspect({ secret }), '{ secret: [secret] }')
})

test('from wipes its source', () => {
  const source = Uint8Array.of(9, 9)
  using secret = Secret.from(source)
  assert.deepEqual([...source], [0, 0])
  assert.equal(secret.sizeBytes, 2)
})

test('a wipe waits for the promise that the bytes were lent to', async () => {
  const secret = Secret.from(Uint8Array.of(7))
  const gate = Promise.withResolvers<void>()
  const seen = secret.expose(async (bytes) => {
    await gate.promise
    return bytes[0]
  })
  secret[Symbol.dispose]()
  gate.resolve()
  assert.equal(await seen, 7)
  assert.throws(() => secret.expose(() => 0), /wiped/)
})

test('a failed use gives the bytes back', async () => {
  const secret = Secret.from(Uint8Array.of(7))
  const lent: Uint8Array[] = []
  assert.throws(() =>
    secret.expose((bytes) => {
      lent.push(bytes)
      throw new Error('no')
    }),
  )
  await assert.rejects(secret.expose(async () => Promise.reject(new Error('no'))))
  secret[Symbol.dispose]()
  assert.equal(lent[0]?.[0], 0)
})

test('equal compares bytes, clone lives on', () => {
  const one = Secret.random(32)
  using two = one.clone()
  using other = Secret.random(32)
  using shorter = Secret.random(31)
  assert.ok(one.equal(two))
  assert.ok(!one.equal(other))
  assert.ok(!one.equal(shorter))
  one[Symbol.dispose]()
  assert.equal(
    two.expose((bytes) => bytes.some((byte) => byte !== 0)),
    true,
  )
  assert.throws(() => one.equal(two), /wiped/)
})

test('sizes have a limit', () => {
  assert.throws(() => Secret.random(0), RangeError)
  assert.throws(() => Secret.random(1.5), RangeError)
  assert.throws(() => Secret.from(new Uint8Array(secretSizeMax + 1)), RangeError)
})
