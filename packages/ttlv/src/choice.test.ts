import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import {
  attempt,
  choice,
  constant,
  decode,
  dump,
  either,
  encode,
  enumeration,
  integer,
  optional,
  peek,
  repeated,
  secretBytes,
  structure,
  TtlvError,
  text,
  undeclared,
} from './index.ts'

const options = { version: { major: 1, minor: 4 } }
const kind = enumeration(0x420021, { Number: 1, Word: 2, Other: 3 })
const Num = structure(0x420020, { kind: constant(kind, 'Number'), value: integer(0x420022) })
const Word = structure(0x420020, {
  kind: constant(kind, 'Word'),
  value: text(0x420022),
  key: optional(secretBytes(0x420023)),
})
const Any = choice(0x420020, 'kind', kind, (value) => {
  if (value === undefined || value === 'Other') return null
  return value === 'Number' ? Num : Word
})
const List = structure(0x420010, { one: repeated(attempt(Any)) })

test('the first field says which fields follow, in bytes and in types', () => {
  const number = encode(Any, { kind: 'Number', value: 5 }, options)
  const word = encode(Any, { kind: 'Word', value: 'five' }, options)
  for (const bytes of [number, word]) {
    const value = decode(Any, bytes, options)
    if (value.kind === 'Number') assert.equal(value.value.toFixed(1), '5.0')
    else assert.equal(value.value.toUpperCase(), 'FIVE')
    assert.deepEqual(encode(Any, value, options), bytes)
  }
})

test('a variant that is not provided for is refused', () => {
  const other = encode(structure(0x420020, { kind, value: integer(0x420022) }), { kind: 'Other', value: 1 }, options)
  assert.throws(() => decode(Any, other, options), { code: 'wrong-value', path: 'kind' })
  const none = encode(structure(0x420020, { value: integer(0x420022) }), { value: 1 }, options)
  assert.throws(() => decode(Any, none, options), { code: 'missing-field', path: 'kind' })
  assert.throws(() => encode(Word, { kind: 'Number', value: 'x' } as never, options), {
    code: 'wrong-value',
    path: 'kind',
  })
})

test('one broken item does not break the others, and its secrets are wiped', () => {
  const Sealed = structure(0x420010, { one: repeated(undeclared(0x420020)) })
  using key = Secret.from(Uint8Array.of(1, 2))
  const good = encode(Any, { kind: 'Word', value: 'a', key }, options)
  const broken = Uint8Array.from(good)
  broken[broken.length - 1] = 1
  const content = (bytes: Uint8Array) => ({ type: 'Structure' as const, content: Secret.from(bytes.slice(8)) })
  const bytes = encode(Sealed, { one: [content(good), content(broken), content(good)] }, options)
  const { one } = decode(List, bytes, options)
  assert.equal(one.length, 3)
  assert.ok(one[1] instanceof TtlvError)
  assert.deepEqual({ code: one[1].code, path: one[1].path }, { code: 'wrong-padding', path: 'key' })
  assert.ok(!(one[2] instanceof TtlvError))
  assert.throws(() => encode(List, { one }, options), { code: 'wrong-value', path: 'one[1]' })
})

test('an exceeded limit ends everything', () => {
  const bytes = encode(List, { one: [{ kind: 'Number', value: 5 }] }, options)
  assert.throws(() => decode(List, bytes, { ...options, limits: { depthMax: 1 } }), { code: 'limit-exceeded' })
})

test('what nobody knows stays as it came, and shows nothing', () => {
  const Sealed = structure(0x420010, { one: repeated(undeclared(0x420020)) })
  const bytes = encode(List, { one: [{ kind: 'Word', value: 'hidden' }] }, options)
  const value = decode(Sealed, bytes, options)
  assert.deepEqual(encode(Sealed, value, options), bytes)
  const shown = dump(Sealed, value, { ...options, tagName: () => null })
  assert.equal(shown, '0x420010 Structure\n  0x420020 Structure [secret, 32 bytes]')
})

test('the type tells two forms of one tag apart', () => {
  const Both = either(integer(0x420020), (value) => typeof value === 'number', text(0x420020))
  for (const value of [5, 'five']) assert.equal(decode(Both, encode(Both, value, options), options), value)
  assert.throws(() => either(integer(0x420020), (value) => typeof value === 'number', text(0x420021)), RangeError)
})

test('a dump shows no secret', () => {
  using key = Secret.from(new TextEncoder().encode('do not show'))
  const shown = dump(Any, { kind: 'Word', value: 'a"b', key }, { ...options, tagName: (tag) => `T${tag & 0xff}` })
  assert.equal(
    shown,
    'T32 Structure\n  T33 Enumeration Word\n  T34 TextString "a\\"b"\n  T35 ByteString [secret, 11 bytes]',
  )
})

test('peek finds the first item of nested structures, or nothing', () => {
  const bytes = encode(List, { one: [{ kind: 'Word', value: 'a' }] }, options)
  assert.equal(peek(kind, bytes, [0x420010, 0x420020]), 'Word')
  assert.equal(peek(text(0x420022), bytes, [0x420010, 0x420020]), null)
  assert.equal(peek(kind, bytes.subarray(0, 20), [0x420010, 0x420020]), null)
  assert.equal(peek(kind, bytes, [0x420010]), null)
  assert.equal(peek(kind, new Uint8Array(0), [0x420010]), null)
})
