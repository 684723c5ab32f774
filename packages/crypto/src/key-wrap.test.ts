import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { unwrapKey, wrapKey } from './key-wrap.ts'

const secretOf = (hex: string) => Secret.from(new Uint8Array(Buffer.from(hex, 'hex')))
const counting = Buffer.from(Array.from({ length: 32 }, (_, index) => index)).toString('hex')
const data = '00112233445566778899aabbccddeeff'

/** RFC 3394, section 4. */
const vectors = [
  {
    section: '4.1',
    kek: counting.slice(0, 32),
    key: data,
    wrapped: '1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5',
  },
  {
    section: '4.2',
    kek: counting.slice(0, 48),
    key: data,
    wrapped: '96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d',
  },
  { section: '4.3', kek: counting, key: data, wrapped: '64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7' },
  {
    section: '4.5',
    kek: counting,
    key: `${data}0001020304050607`,
    wrapped: 'a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1',
  },
  {
    section: '4.6',
    kek: counting,
    key: `${data}000102030405060708090a0b0c0d0e0f`,
    wrapped: '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21',
  },
]

test('the vectors of RFC 3394', () => {
  for (const vector of vectors) {
    using kek = secretOf(vector.kek)
    using key = secretOf(vector.key)
    assert.equal(Buffer.from(wrapKey(kek, key)).toString('hex'), vector.wrapped, vector.section)
    using back = unwrapKey(kek, Buffer.from(vector.wrapped, 'hex'))
    assert.ok(back.equal(key), vector.section)
  }
})

test('no single bit of a wrapped key can change', () => {
  using kek = Secret.random(32)
  using key = Secret.random(32)
  const wrapped = wrapKey(kek, key)
  fc.assert(
    fc.property(fc.nat({ max: wrapped.length * 8 - 1 }), (bit) => {
      const changed = Uint8Array.from(wrapped)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.throws(() => unwrapKey(kek, changed), { name: 'CryptoError', code: 'integrity' })
    }),
  )
})

test('another KEK does not open it', () => {
  using kek = Secret.random(32)
  using other = Secret.random(32)
  using key = Secret.random(32)
  assert.throws(() => unwrapKey(other, wrapKey(kek, key)), { code: 'integrity' })
})

test('impossible sizes are refused', () => {
  using kek = Secret.random(32)
  for (const sizeBytes of [15, 33, 64]) {
    using odd = Secret.random(sizeBytes)
    assert.throws(() => wrapKey(odd, kek), { code: 'key-size' })
  }
  for (const sizeBytes of [8, 17, 65_544]) {
    using odd = Secret.random(sizeBytes)
    assert.throws(() => wrapKey(kek, odd), { code: 'data-size' })
  }
  for (const sizeBytes of [0, 16, 25]) {
    assert.throws(() => unwrapKey(kek, new Uint8Array(sizeBytes)), { code: 'data-size' })
  }
})
