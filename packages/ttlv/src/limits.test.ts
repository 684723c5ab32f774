import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type AnyValue, anyValue, decode, depthMax, encode, itemCountMax, messageSizeMax } from './index.ts'

const options = { version: { major: 1, minor: 4 } }
const item = anyValue(0x420020)

function nested(depth: number): AnyValue {
  let value: AnyValue = { type: 'Structure', value: [] }
  for (let level = 1; level < depth; level++) value = { type: 'Structure', value: [{ tag: 0x420021, ...value }] }
  return value
}

test('structures may lie 32 deep and no deeper', () => {
  assert.equal(depthMax, 32)
  assert.deepEqual(decode(item, encode(item, nested(32), options), options), nested(32))
  assert.throws(() => decode(item, encode(item, nested(33), options), options), { code: 'limit-exceeded' })
})

test('a message may have 100,000 items and no more', () => {
  assert.equal(itemCountMax, 100_000)
  const field = { tag: 0x420021, type: 'TextString', value: '' } as const
  const list = (count: number): AnyValue => ({ type: 'Structure', value: Array.from({ length: count }, () => field) })
  decode(item, encode(item, list(itemCountMax - 1), options), options)
  assert.throws(() => decode(item, encode(item, list(itemCountMax), options), options), { code: 'limit-exceeded' })
})

test('a message may have a mebibyte, either way', () => {
  assert.equal(messageSizeMax, 1_048_576)
  const value = (size: number): AnyValue => ({ type: 'ByteString', value: new Uint8Array(size) })
  decode(item, encode(item, value(messageSizeMax - 8), options), options)
  assert.throws(() => encode(item, value(messageSizeMax - 7), options), { code: 'limit-exceeded' })
  const large = encode(item, value(messageSizeMax), { ...options, messageSizeMax: 2 * messageSizeMax })
  assert.throws(() => decode(item, large, options), { code: 'limit-exceeded' })
  decode(item, large, { ...options, limits: { messageSizeMax: 2 * messageSizeMax } })
})

test('a Big Integer may be as large as a message', () => {
  // Where the time goes by the square of the length, this takes minutes, and a server stands still for all its clients.
  const bits = BigInt(messageSizeMax - 8) * 8n
  for (const number of [(1n << (bits - 1n)) - 1n, -(1n << (bits - 1n)), (1n << (bits - 64n)) + 1n]) {
    const value: AnyValue = { type: 'BigInteger', value: number }
    const encoded = encode(item, value, options)
    assert.equal(encoded.length, messageSizeMax)
    assert.ok(decode(item, encoded, options).value === number)
  }
})

test('values survive the growth of the buffer, wherever it happens', () => {
  const types: AnyValue[] = [
    { type: 'Integer', value: 1 },
    { type: 'LongInteger', value: 1n },
    { type: 'BigInteger', value: 1n },
    { type: 'Enumeration', value: 1 },
    { type: 'Boolean', value: true },
    { type: 'TextString', value: 'a' },
    { type: 'ByteString', value: Uint8Array.of(1) },
    { type: 'DateTime', value: new Date(1000) },
    { type: 'DateTimeExtended', value: 1n },
    { type: 'Interval', value: 1 },
  ]
  for (const type of types) {
    const value: AnyValue = {
      type: 'Structure',
      value: Array.from({ length: 200 }, () => ({ tag: 0x420021, ...type })),
    }
    assert.deepEqual(decode(item, encode(item, value, options), options), value)
  }
})
