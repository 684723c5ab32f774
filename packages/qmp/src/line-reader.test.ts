import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LineReader } from './line-reader.ts'
import { QmpError } from './qmp-error.ts'

const read = (reader: LineReader, chunk: Uint8Array) =>
  [...reader.push(chunk)].map((line) => Buffer.from(line).toString())

test('lines come out the same wherever the pieces are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), fc.array(fc.nat()), (texts, cuts) => {
      const lines = texts.map((text) => text.replaceAll('\n', ' '))
      const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''))
      const places = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length]
      const reader = new LineReader()
      const found = places.flatMap((place, index) => read(reader, bytes.subarray(places[index - 1] ?? 0, place)))
      assert.deepEqual(
        found,
        lines.map((line) => Buffer.from(line).toString()),
      )
      assert.equal(reader.pendingBytes, 0)
    }),
  )
})

test('a line has at most so many bytes, in one piece or in many', () => {
  assert.deepEqual(read(new LineReader(4), Buffer.from('1234\n123\n')), ['1234', '123'])
  const isTooLong = (error: unknown) => error instanceof QmpError && error.code === 'too-long'
  assert.throws(() => read(new LineReader(4), Buffer.from('12345\n')), isTooLong)
  const reader = new LineReader(4)
  read(reader, Buffer.from('1234'))
  assert.throws(() => read(reader, Buffer.from('5')), isTooLong)
})
