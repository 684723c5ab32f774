import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BerReader, BerWriter, FilterParser } from 'ldapts'
import { both, equal, matching, oneOf, parseFilter } from './search-filter.ts'

/** As it goes over the wire. */
function encoded(filter: ReturnType<typeof equal>): Buffer {
  const writer = new BerWriter()
  filter.write(writer)
  return writer.buffer
}

test('any value stays one value: the filter around it is the same, whatever is in it', () => {
  const value = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(fc.constantFrom('*', '(', ')', '\\', '\0', '|', '&', '!', '=', 'uid', '2a', ' '), { maxLength: 12 })
      .map((each) => each.join('')),
  )
  const users = parseFilter('(objectClass=person)')
  assert.ok(users !== null)
  fc.assert(
    fc.property(value, (text) => {
      const wire = encoded(both(users, equal('uid', text)))
      const reader = new BerReader(wire)
      assert.equal(reader.readSequence(), 0xa0)
      assert.equal(reader.length, wire.length - reader.offset, 'nothing after it')
      assert.equal(reader.readSequence(), 0xa3)
      assert.deepEqual([reader.readString(), reader.readString()], ['objectClass', 'person'])
      assert.equal(reader.readSequence(), 0xa3, 'an equality')
      assert.equal(reader.readString(), 'uid')
      assert.deepEqual(reader.readString(0x04, true), Buffer.from(text, 'utf8'))
      assert.equal(reader.remain, 0)
    }),
  )
})

test('a DN in a rule of the directory stays one value, too', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const reader = new BerReader(encoded(matching('member', '1.2.840.113556.1.4.1941', text)))
      assert.equal(reader.readSequence(), 0xa9)
      assert.equal(reader.readString(0x81), '1.2.840.113556.1.4.1941')
      assert.equal(reader.readString(0x82), 'member')
      assert.equal(reader.readString(0x83), Buffer.from(text, 'utf8').toString('utf8'))
    }),
  )
})

test('bytes that are no text stay what they are', () => {
  const bytes = Buffer.from([0xef, 0xbb, 0xbf, 0x00, 0x28, 0x2a, 0xff])
  const reader = new BerReader(encoded(equal('objectGUID', bytes)))
  reader.readSequence()
  assert.equal(reader.readString(), 'objectGUID')
  assert.deepEqual(reader.readString(0x04, true), bytes)
})

test('filters of administrators are read whole, or not at all', () => {
  for (const text of ['(objectClass=person)', '(&(a=b)(!(c=d*e)))', '(groupType:1.2.840.113556.1.4.803:=2147483648)']) {
    assert.ok(parseFilter(text) !== null, text)
  }
  for (const text of [
    '',
    'a=b',
    '(a=b',
    '(a=b)(c=d)',
    '(a=b))',
    '(&(a=b)',
    '(&(a=b)(|(c=d))',
    '(a=b)(c=d)(',
    '((a=b))',
    '(&)',
    '()',
    '(a=b)x',
    '(=b)',
    '(a\\=b)',
    '(a=\\c3\\bc)',
  ]) {
    assert.equal(parseFilter(text), null, text)
  }
  const one = equal('a', 'b')
  assert.equal(oneOf([one]), one)
  assert.deepEqual(encoded(oneOf([one, equal('c', 'd')])), encoded(FilterParser.parseString('(|(a=b)(c=d))')))
})
