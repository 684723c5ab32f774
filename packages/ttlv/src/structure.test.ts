import assert from 'node:assert/strict'
import { test } from 'node:test'
import { boolean } from './boolean.ts'
import { decode, encode } from './codec.ts'
import { optional, repeated, since, until } from './field.ts'
import { type Of, structure, TtlvError, type TtlvErrorCode, text } from './index.ts'
import { integer } from './integer.ts'

const v1_0 = { major: 1, minor: 0 }
const v1_1 = { major: 1, minor: 1 }

const Inner = structure(0x420020, { flag: optional(boolean(0x420021)) })
const Outer = structure(0x420010, {
  name: text(0x420011),
  size: optional(integer(0x420012)),
  inner: repeated(Inner),
  added: since(v1_1, integer(0x420013)),
  dropped: until(v1_0, optional(integer(0x420014))),
  note: optional(text(0x420015)),
})
type Outer = Of<typeof Outer>

const hex = (text: string) => Uint8Array.from(Buffer.from(text.replaceAll(/[\s|]/g, ''), 'hex'))
const name = '42001107 00000002 6162000000000000'
const size = '42001202 00000004 0000000500000000'
const flag = '42002101 00000000'
const inner = '42002001 00000010 4200210600000008 0000000000000001'
const added = '42001302 00000004 0000000100000000'
const dropped = '42001402 00000004 0000000100000000'
const note = '42001507 00000001 6300000000000000'

/** An Outer with these fields. */
function outer(...fields: string[]): Uint8Array {
  const content = hex(fields.join(''))
  const header = hex('4200100100000000')
  new DataView(header.buffer).setUint32(4, content.length)
  return Uint8Array.from([...header, ...content])
}

function refuses(bytes: Uint8Array, code: TtlvErrorCode, path: string, version = v1_1): void {
  assert.throws(
    () => decode(Outer, bytes, { version }),
    (error) => {
      assert.ok(error instanceof TtlvError)
      assert.deepEqual({ code: error.code, path: error.path }, { code, path })
      if (path !== '') assert.ok(error.message.startsWith(`${path}: `), error.message)
      return true
    },
  )
}

test('fields come in the declared order and decode to the declared names', () => {
  const bytes = outer(name, size, inner, inner, added, note)
  const value: Outer = decode(Outer, bytes, { version: v1_1 })
  assert.deepEqual(value, { name: 'ab', size: 5, inner: [{ flag: true }, { flag: true }], added: 1, note: 'c' })
  assert.deepEqual(encode(Outer, value, { version: v1_1 }), bytes)
})

test('what is optional can be left out, a list can be empty', () => {
  const bytes = outer(name, added)
  const value = decode(Outer, bytes, { version: v1_1 })
  assert.deepEqual(value, { name: 'ab', inner: [], added: 1 })
  assert.deepEqual(encode(Outer, value, { version: v1_1 }), bytes)
})

test('each fault has its own code and names the field', () => {
  refuses(outer(size, added), 'missing-field', 'name')
  refuses(outer(size, name, added), 'wrong-order', 'name')
  refuses(outer(name, added, size), 'wrong-order', 'size')
  refuses(outer(name, size, size, added), 'second-copy', 'size')
  refuses(outer(name, flag, added), 'unknown-field', '')
  refuses(outer(name, added, added), 'second-copy', 'added')
  refuses(outer(name, added, note, note), 'second-copy', 'note')
  refuses(outer(name, added, flag), 'unknown-field', '')
  refuses(outer(name, inner, inner.replace('01 00000010', '02 00000010'), added), 'wrong-type', 'inner[1]')
  refuses(outer(name, inner, inner.slice(0, -1).concat('2'), added), 'wrong-value', 'inner[1].flag')
  refuses(outer(name, added).subarray(0, -1), 'truncated', '')
  refuses(Uint8Array.from([...outer(name, added), 0]), 'trailing-bytes', '')
})

test('a field is only there in its versions', () => {
  refuses(outer(name), 'missing-field', 'added')
  refuses(outer(name, added), 'not-in-version', 'added', v1_0)
  refuses(outer(name, added, dropped), 'not-in-version', 'dropped')
  assert.deepEqual(decode(Outer, outer(name, dropped), { version: v1_0 }), { name: 'ab', inner: [], dropped: 1 })
  assert.throws(() => encode(Outer, { name: 'ab', inner: [], added: 1 }, { version: v1_0 }), { code: 'not-in-version' })
  assert.throws(() => encode(Outer, { name: 'ab', inner: [] }, { version: v1_1 }), { code: 'missing-field' })
})

test('unknown fields are ignored where that was asked for, and only those', () => {
  const options = { version: { major: 1, minor: 9 }, unknownFields: 'ignore' } as const
  const unknown = '4200ff02 00000004 0000000100000000'
  const value = { name: 'ab', inner: [{ flag: true }, { flag: true }], added: 1 }
  assert.deepEqual(
    decode(Outer, outer(unknown, name, unknown, inner, unknown, inner, added, unknown, unknown), options),
    value,
  )
  assert.throws(() => decode(Outer, outer(name, added, unknown, size), options), { code: 'wrong-order', path: 'size' })
  assert.throws(() => decode(Outer, outer(unknown, added), options), { code: 'missing-field', path: 'name' })
})

test('a value that does not fit is refused before anything is sent', () => {
  const options = { version: v1_1 }
  const good: Outer = { name: 'ab', inner: [{ flag: true }], added: 1 }
  const bad = (value: unknown, code: TtlvErrorCode, path: string) =>
    // The point is to pass what the type forbids.
    assert.throws(() => encode(Outer, value as Outer, options), { code, path })
  bad({ ...good, name: 5 }, 'wrong-value', 'name')
  bad({ ...good, name: '\ud800' }, 'wrong-value', 'name')
  bad({ ...good, added: 2 ** 31 }, 'wrong-value', 'added')
  bad({ ...good, inner: {} }, 'wrong-value', 'inner')
  bad({ ...good, inner: [{}, { flag: 1 }] }, 'wrong-value', 'inner[1].flag')
  bad({ ...good, more: 1 }, 'unknown-field', 'more')
  bad({ ...good, name: undefined }, 'missing-field', 'name')
  bad(null, 'wrong-value', '')
})
