import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Type } from 'typebox'
import { shapeCheck } from './validation.ts'

const strict = { additionalProperties: false }

const check = shapeCheck(
  Type.Object(
    {
      size: Type.Object({ bytes: Type.Integer() }, strict),
      format: Type.Union([Type.Literal('raw'), Type.Literal('qcow2')]),
    },
    strict,
  ),
  'config.json',
)

test('a right value has no problem', () => {
  assert.equal(check({ size: { bytes: 1 }, format: 'raw' }), null)
})

test('a problem names the field and what was expected there, and never the value', () => {
  const size = { bytes: 1 }
  assert.deepEqual(check({ size: { bytes: 'hush' }, format: 'raw' }), {
    field: 'size.bytes',
    message: 'size.bytes: must be integer',
  })
  assert.equal(check({ size, format: 'hush' })?.message, 'format: must be "raw" or "qcow2"')
  assert.equal(check({ size, format: 'raw', extra: 1 })?.message, 'extra: there is no such field')
  assert.equal(check({ format: 'raw' })?.message, 'size: is missing')
  assert.equal(check(7)?.message, 'config.json: must be object')
})

test('of a union that `kind` tells apart, the member that was meant is checked', () => {
  const one = Type.Object({ kind: Type.Literal('one'), first: Type.Integer() }, strict)
  const two = Type.Object({ kind: Type.Literal('two'), second: Type.Integer() }, strict)
  const checkEither = shapeCheck(Type.Union([one, two]), 'body')
  assert.equal(checkEither({ kind: 'two', second: 2 }), null)
  assert.equal(checkEither({ kind: 'two', second: 'x' })?.message, 'second: must be integer')
  assert.equal(checkEither({ kind: 'two', first: 1, second: 1 })?.message, 'first: there is no such field')
  assert.equal(checkEither({ kind: 'three' })?.message, 'kind: must be "one" or "two"')
  assert.equal(checkEither({})?.message, 'kind: is missing')
})
