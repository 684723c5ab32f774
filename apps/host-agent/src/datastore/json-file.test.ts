import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import { shapeCheck } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { parseJson } from './json-file.ts'

const problemOf = shapeCheck(Type.Object({ notes: Type.String() }, { additionalProperties: false }), 'file')
const parse = (text: string) => parseJson(Buffer.from(text), '/datastore/file', problemOf)

test('what is no JSON, or has another shape, is refused by its path, and nothing of it is quoted', () => {
  assert.deepEqual(parse('{"notes":"sealed"}'), { notes: 'sealed' })
  for (const text of [
    '{"notes": sealed}',
    'sealed',
    '{"notes":"sealed","more":1}',
    '{"notes":["sealed"]}',
    '"sealed"',
  ]) {
    assert.throws(
      () => parse(text),
      (error: Error & { code?: string }) => {
        assert.equal(error.code, 'datastore-mismatch')
        assert.match(error.message, /^\/datastore\/file: /)
        assert.ok(!inspect(error, { depth: 10 }).includes('sealed'), text)
        return true
      },
    )
  }
})
