import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decode, encode, ItemType, isInVersion } from '@cryptvisor/ttlv'
import {
  Attribute,
  attribute,
  attributeValue,
  attributeValues,
  customAttribute,
  describeAttribute,
  isCustomName,
  standardAttribute,
  standardAttributes,
  Tag,
  v1_0,
  v1_1,
  v1_4,
} from '../index.ts'

const options = { version: v1_4 }

function roundTrip(value: Attribute): Attribute {
  const bytes = encode(Attribute, value, options)
  const decoded = decode(Attribute, bytes, options)
  assert.deepEqual(encode(Attribute, decoded, options), bytes)
  return decoded
}

test('a standard attribute has its own type', () => {
  const name = attribute('Name', { nameValue: 'a', nameType: 'URI' }, 3)
  assert.deepEqual(roundTrip(name), name)
  const date = attribute('Activation Date', new Date('2026-01-02T03:04:05Z'))
  assert.deepEqual(roundTrip(date), date)
  // The point is to pass what the types forbid.
  const wrong = { attributeName: 'State', attributeValue: { type: 'TextString', value: 'Active' } } as Attribute
  assert.throws(() => encode(Attribute, wrong, options), { code: 'wrong-value', path: 'attributeValue' })
})

test('the wrong type on the wire is refused', () => {
  const bytes = encode(Attribute, customAttribute('x-Cryptographic Length', 'long'), options)
  const shorter = Uint8Array.from(Buffer.from(bytes.map((byte) => byte)))
  // `x-Cryptographic Length` becomes a name that nobody defines, whose value may have any type.
  shorter[16] = 0x43
  assert.deepEqual(decode(Attribute, shorter, options).attributeValue, { type: 'TextString', value: 'long' })
  const length = encode(Attribute, attribute('Cryptographic Length', 256), options)
  length[length.length - 13] = 0x05
  assert.throws(() => decode(Attribute, length, options), { code: 'wrong-type', path: 'attributeValue' })
})

test('custom attributes have any type', () => {
  const values = [
    { type: 'Integer', value: -1 },
    { type: 'LongInteger', value: 2n ** 40n },
    { type: 'BigInteger', value: 2n ** 100n },
    { type: 'Enumeration', value: 7 },
    { type: 'Boolean', value: true },
    { type: 'TextString', value: 'ä' },
    { type: 'ByteString', value: Uint8Array.of(1, 2) },
    { type: 'DateTime', value: new Date(0) },
    { type: 'Interval', value: 60 },
    { type: 'Structure', value: [{ tag: 0x540001, type: 'TextString', value: 'b' }] },
  ] as const
  for (const value of values) {
    const custom = customAttribute('x-Any', value, 2)
    assert.deepEqual(roundTrip(custom), custom)
  }
  assert.equal(new Set(values.map(({ type }) => type)).size, Object.keys(ItemType).length - 1)
})

test('attributes are found by their names', () => {
  const list = [
    attribute('Object Group', 'a'),
    customAttribute('x-Object Group', 'b'),
    attribute('Object Group', 'c', 1),
  ]
  assert.equal(attributeValue(list, 'Object Group'), 'a')
  assert.deepEqual(attributeValues(list, 'Object Group'), ['a', 'c'])
  assert.equal(attributeValue(list, 'State'), undefined)
  assert.ok(isCustomName('x-a') && isCustomName('y-a') && !isCustomName('Name') && !isCustomName('z-a'))
})

test('the registry says what the standard’s tables say', () => {
  assert.equal(standardAttribute('x-Name'), null)
  assert.equal(standardAttribute('toString'), null)
  const { State: state, Name: name } = standardAttributes
  assert.deepEqual(
    [state.initiallySetBy, state.isModifiableByClient, state.isDeletableByClient, state.isMultiple],
    ['server', false, false, false],
  )
  assert.deepEqual(
    [name.initiallySetBy, name.isModifiableByClient, name.isDeletableByClient, name.isMultiple],
    ['client', true, true, true],
  )
  assert.ok(!state.objectTypes.includes('OpaqueObject') && name.objectTypes.includes('OpaqueObject'))
  assert.ok(!isInVersion(standardAttributes.Fresh, v1_0) && isInVersion(standardAttributes.Fresh, v1_1))
  for (const [attributeName, { tag, value }] of Object.entries(standardAttributes)) {
    assert.equal(value(tag).tag, tag)
    // A tag is called as its attribute, without blanks and the like.
    const tagged = Object.entries(Tag).find(([, number]) => number === tag)?.[0]
    assert.equal(tagged?.replaceAll('_', ''), attributeName.replaceAll(/[^A-Za-z0-9]/g, ''))
  }
})

test('a description is for people and for JSON', () => {
  const describe = (value: Attribute) => JSON.parse(JSON.stringify(describeAttribute(value)))
  assert.deepEqual(describe(attribute('State', 'PreActive')), {
    name: 'State',
    index: 0,
    type: 'Enumeration',
    value: 'PreActive',
  })
  assert.deepEqual(describe(attribute('Name', { nameValue: 'a', nameType: 'URI' }, 1)), {
    name: 'Name',
    index: 1,
    type: 'Structure',
    value: { nameValue: 'a', nameType: 'URI' },
  })
  const digest = { hashingAlgorithm: 'SHA_256', digestValue: Uint8Array.of(1, 255), keyFormatType: 'Raw' } as const
  assert.deepEqual(describe(attribute('Digest', digest)).value, { ...digest, digestValue: '01ff' })
  const usage = { usageLimitsTotal: 5n, usageLimitsUnit: 'Byte' } as const
  assert.deepEqual(describe(attribute('Usage Limits', usage)).value, { usageLimitsTotal: '5', usageLimitsUnit: 'Byte' })
  assert.deepEqual(describe(attribute('Initial Date', new Date(0))).value, '1970-01-01T00:00:00.000Z')
  assert.deepEqual(describe(customAttribute('x-A', { type: 'ByteString', value: Uint8Array.of(16) })), {
    name: 'x-A',
    index: 0,
    type: 'ByteString',
    value: '10',
  })
  const fields = [
    { tag: 0x540001, type: 'Integer', value: 1 },
    { tag: Tag.NameValue, type: 'TextString', value: 'b' },
  ] as const
  assert.deepEqual(describe(customAttribute('x-B', { type: 'Structure', value: fields })).value, [
    { tag: '0x540001', type: 'Integer', value: 1 },
    { tag: 'NameValue', type: 'TextString', value: 'b' },
  ])
})
