import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import {
  type AnyField,
  type AnyValue,
  anyValue,
  bigInteger,
  boolean,
  bytes,
  dateTime,
  dateTimeExtended,
  decode,
  encode,
  enumeration,
  type Item,
  integer,
  interval,
  longInteger,
  openEnumeration,
  secretBytes,
  secretText,
  structure,
  type TtlvErrorCode,
  text,
  wipe,
} from './index.ts'

const tag = 0x420020
const options = { version: { major: 1, minor: 4 } }
const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/[\s|]/g, ''), 'hex'))

function is<Value>(item: Item<Value>, value: Value, encoded: string): void {
  assert.deepEqual(encode(item, value, options), hex(encoded))
  assert.deepEqual(decode(item, hex(encoded), options), value)
}

function refuses(item: Item<unknown>, encoded: string, code: TtlvErrorCode): void {
  assert.throws(() => decode(item, hex(encoded), options), { name: 'TtlvError', code })
}

test('the examples of KMIP 1.4, 9.1.2', () => {
  is(integer(tag), 8, '42 00 20 | 02 | 00 00 00 04 | 00 00 00 08 00 00 00 00')
  is(longInteger(tag), 123456789000000000n, '42 00 20 | 03 | 00 00 00 08 | 01 B6 9B 4B A5 74 92 00')
  is(
    bigInteger(tag),
    1234567890000000000000000000n,
    '42 00 20 | 04 | 00 00 00 10 | 00 00 00 00 03 FD 35 EB 6B C2 DF 46 18 08 00 00',
  )
  is(openEnumeration(tag, {}), 255, '42 00 20 | 05 | 00 00 00 04 | 00 00 00 FF 00 00 00 00')
  is(boolean(tag), true, '42 00 20 | 06 | 00 00 00 08 | 00 00 00 00 00 00 00 01')
  is(text(tag), 'Hello World', '42 00 20 | 07 | 00 00 00 0B | 48 65 6C 6C 6F 20 57 6F 72 6C 64 00 00 00 00 00')
  is(bytes(tag), Uint8Array.of(1, 2, 3), '42 00 20 | 08 | 00 00 00 03 | 01 02 03 00 00 00 00 00')
  is(dateTime(tag), new Date('2008-03-14T11:56:40Z'), '42 00 20 | 09 | 00 00 00 08 | 00 00 00 00 47 DA 67 F8')
  is(interval(tag), 864000, '42 00 20 | 0A | 00 00 00 04 | 00 0D 2F 00 00 00 00 00')
  is(
    structure(tag, { one: enumeration(0x420004, { Found: 254 }), two: integer(0x420005) }),
    { one: 'Found', two: 255 },
    '42 00 20 | 01 | 00 00 00 20 | 42 00 04 | 05 | 00 00 00 04 | 00 00 00 FE 00 00 00 00 | 42 00 05 | 02 | 00 00 00 04 | 00 00 00 FF 00 00 00 00',
  )
})

test('signs and ends of ranges', () => {
  is(integer(tag), -(2 ** 31), '42002002 00000004 8000000000000000')
  is(longInteger(tag), -1n, '42002003 00000008 ffffffffffffffff')
  is(bigInteger(tag), 0n, '42002004 00000008 0000000000000000')
  is(bigInteger(tag), -(2n ** 63n), '42002004 00000008 8000000000000000')
  is(bigInteger(tag), 2n ** 63n, '42002004 00000010 0000000000000000 8000000000000000')
  is(bigInteger(tag), 2n ** 63n - 1n, '42002004 00000008 7fffffffffffffff')
  is(bigInteger(tag), -(2n ** 63n) - 1n, '42002004 00000010 ffffffffffffffff 7fffffffffffffff')
  is(bigInteger(tag), -1n, '42002004 00000008 ffffffffffffffff')
  is(interval(tag), 2 ** 32 - 1, '4200200a 00000004 ffffffff00000000')
  is(dateTime(tag), new Date(-1000), '42002009 00000008 ffffffffffffffff')
  is(dateTimeExtended(tag), 1n, '4200200b 00000008 0000000000000001')
  is(text(tag), '', '42002007 00000000')
  is(text(tag), '\ufeffä', '42002007 00000005 efbbbfc3a4000000')
})

test('what is not exactly right is refused', () => {
  refuses(integer(tag), '42002002 00000008 0000000000000000', 'wrong-length')
  refuses(integer(tag), '42002002 00000004 0000000000000001', 'wrong-padding')
  refuses(integer(tag), '42002005 00000004 0000000000000000', 'wrong-type')
  refuses(integer(tag), '42002102 00000004 0000000000000000', 'wrong-tag')
  refuses(integer(tag), '42002002 00000004 00000000', 'truncated')
  refuses(integer(tag), '42002002 0000', 'truncated')
  refuses(integer(tag), '', 'missing-field')
  refuses(boolean(tag), '42002006 00000008 0000000000000002', 'wrong-value')
  refuses(boolean(tag), '42002006 00000008 0100000000000000', 'wrong-value')
  refuses(boolean(tag), '42002006 00000004 0000000100000000', 'wrong-length')
  refuses(text(tag), '42002007 00000001 ff00000000000000', 'wrong-value')
  refuses(text(tag), '42002007 00000003 eda0800000000000', 'wrong-value')
  refuses(secretText(tag), '42002007 00000001 ff00000000000000', 'wrong-value')
  refuses(text(tag), '42002007 ffffffff 6100000000000000', 'truncated')
  refuses(bytes(tag), '42002008 00000001 0100000000000001', 'wrong-padding')
  refuses(bigInteger(tag), '42002004 00000000', 'wrong-length')
  refuses(bigInteger(tag), '42002004 00000004 0000000100000000', 'wrong-length')
  refuses(bigInteger(tag), '42002004 00000010 0000000000000000 0000000000000001', 'wrong-padding')
  refuses(bigInteger(tag), '42002004 00000010 ffffffffffffffff ffffffffffffffff', 'wrong-padding')
  refuses(dateTime(tag), '42002009 00000008 7fffffffffffffff', 'out-of-range')
  refuses(enumeration(tag, { One: 1 }), '42002005 00000004 0000000200000000', 'unknown-enumeration')
  refuses(structure(tag, {}), '42002001 00000004 0000000000000000', 'wrong-length')
  refuses(anyValue(tag), '4200200c 00000000', 'wrong-type')
})

test('values that cannot be sent are refused', () => {
  const bad = <Value>(item: Item<Value>, value: Value) =>
    assert.throws(() => encode(item, value, options), { name: 'TtlvError', code: 'wrong-value' })
  bad(integer(tag), 1.5)
  bad(longInteger(tag), 2n ** 63n)
  bad(interval(tag), -1)
  bad(dateTime(tag), new Date(1))
  bad(dateTime(tag), new Date(Number.NaN))
  bad(openEnumeration(tag, { One: 1 }), 1)
  bad(openEnumeration(tag, { One: 1 }), 2 ** 32)
  // The point is to pass what the type forbids.
  bad(enumeration(tag, { One: 1 }), 'toString' as 'One')
  const wiped = Secret.random(4)
  wiped[Symbol.dispose]()
  bad(secretBytes(tag), wiped)
})

test('an unknown number stays a number where that does no harm', () => {
  is(openEnumeration(tag, { One: 1 }), 0x80000001, '42002005 00000004 8000000100000000')
  is(openEnumeration(tag, { One: 1, Uno: 1 }), 'One', '42002005 00000004 0000000100000000')
  assert.deepEqual(encode(openEnumeration(tag, { One: 1, Uno: 1 }), 'Uno', options).at(11), 1)
})

test('secrets are secrets from the first byte', () => {
  const Pair = structure(tag, { password: secretText(0x420021), key: secretBytes(0x420022) })
  const encoded = hex('42002001 00000020 42002107 00000002 c3a4000000000000 42002208 00000001 0700000000000000')
  const value = decode(Pair, encoded, options)
  assert.deepEqual(
    value.password.expose((bytes) => [...bytes]),
    [0xc3, 0xa4],
  )
  assert.deepEqual(encode(Pair, value, options), encoded)
  wipe([value])
  assert.ok(value.password.wiped && value.key.wiped)
})

const plain = { noNullPrototype: true }
const scalar = <Type extends string, Value>(type: Type, value: fc.Arbitrary<Value>) =>
  fc.record({ type: fc.constant(type), value }, plain)
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const date = fc.integer({ min: -8_640_000_000_000, max: 8_640_000_000_000 }).map((seconds) => new Date(seconds * 1000))

const { item: anyItem } = fc.letrec<{ item: AnyValue; field: AnyField }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    scalar('Integer', fc.integer()),
    scalar('LongInteger', int64),
    scalar('BigInteger', fc.bigInt({ min: -(2n ** 200n), max: 2n ** 200n })),
    scalar('Enumeration', fc.nat()),
    scalar('Boolean', fc.boolean()),
    scalar('TextString', fc.string({ unit: 'grapheme' })),
    scalar('ByteString', fc.uint8Array()),
    scalar('DateTime', date),
    scalar('DateTimeExtended', int64),
    scalar('Interval', fc.nat()),
    scalar('Structure', fc.array(tie('field'), { maxLength: 4 })),
  ),
  field: fc.tuple(fc.integer({ min: 0x420000, max: 0x42ffff }), tie('item')).map(([fieldTag, item]) => ({
    tag: fieldTag,
    ...item,
  })),
}))

test('decode inverts encode', () => {
  const item = anyValue(tag)
  fc.assert(
    fc.property(anyItem, (value) => {
      const encoded = encode(item, value, options)
      const decoded = decode(item, encoded, options)
      assert.deepEqual(decoded, value)
      assert.deepEqual(encode(item, decoded, options), encoded)
    }),
    { numRuns: 300 },
  )
})

test('no input crashes the decoder, and what is taken encodes to the same bytes', () => {
  const item = anyValue(tag)
  fc.assert(
    fc.property(
      anyItem,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
      (value, damages) => {
        const encoded = encode(item, value, options)
        for (const [place, byte] of damages) encoded[place % encoded.length] = byte
        let decoded: AnyValue
        try {
          decoded = decode(item, encoded, options)
        } catch (error) {
          assert.equal((error as Error).name, 'TtlvError')
          return
        }
        assert.deepEqual(encode(item, decoded, options), encoded)
      },
    ),
    { numRuns: 500 },
  )
})
