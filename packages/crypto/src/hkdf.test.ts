import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import { hkdf } from './hkdf.ts'

const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const range = (from: number, to: number) => Uint8Array.from({ length: to - from + 1 }, (_, index) => from + index)

/** RFC 5869, appendix A. */
const vectors = [
  {
    section: 'A.1',
    key: bytesOf('0b'.repeat(22)),
    salt: range(0x00, 0x0c),
    info: range(0xf0, 0xf9),
    output: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  },
  {
    section: 'A.2',
    key: range(0x00, 0x4f),
    salt: range(0x60, 0xaf),
    info: range(0xb0, 0xff),
    output:
      'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  },
  {
    section: 'A.3',
    key: bytesOf('0b'.repeat(22)),
    info: '',
    output: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  },
]

test('the vectors of RFC 5869', () => {
  for (const { section, key: keyBytes, output, ...parameters } of vectors) {
    using key = Secret.from(keyBytes)
    using derived = hkdf(key, { ...parameters, sizeBytes: output.length / 2 })
    derived.expose((bytes) => assert.equal(Buffer.from(bytes).toString('hex'), output, section))
  }
})

test('impossible sizes are refused', () => {
  using key = Secret.random(32)
  for (const sizeBytes of [0, -1, 1.5, 8161])
    assert.throws(() => hkdf(key, { info: 'x', sizeBytes }), { code: 'data-size' })
  using largest = hkdf(key, { info: 'x', sizeBytes: 8160 })
  assert.equal(largest.sizeBytes, 8160)
})
