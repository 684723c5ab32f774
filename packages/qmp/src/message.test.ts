import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseMessage } from './message.ts'
import { QmpError } from './qmp-error.ts'

const parse = (text: string) => parseMessage(Buffer.from(text))
const timestamp = '"timestamp":{"seconds":12,"microseconds":3456}'

test('each kind of message is told from the others', () => {
  assert.equal(parse(' \r'), null)
  assert.deepEqual(parse('{"return":{"a":1},"id":3}\r'), { kind: 'result', id: 3, result: { a: 1 } })
  assert.deepEqual(parse('{"id":4,"error":{"class":"GenericError","desc":"no"}}'), {
    kind: 'refusal',
    id: 4,
    qemuClass: 'GenericError',
    description: 'no',
  })
  assert.deepEqual(parse(`{"event":"STOP",${timestamp}}`), {
    kind: 'event',
    event: { name: 'STOP', data: {}, atMs: 12_003 },
  })
})

test('events that are not known, or not as they should be, are kept as they came', () => {
  assert.deepEqual(parse(`{"event":"NEW_IN_11",${timestamp},"data":[1]}`), {
    kind: 'event',
    event: { name: null, unknownName: 'NEW_IN_11', data: [1], atMs: 12_003 },
  })
  assert.deepEqual(parse(`{"event":"BLOCK_JOB_PENDING",${timestamp},"data":{"id":7,"type":"mirror"}}`), {
    kind: 'event',
    event: { name: null, unknownName: 'BLOCK_JOB_PENDING', data: { id: 7, type: 'mirror' }, atMs: 12_003 },
  })
  assert.deepEqual(parse('{"event":"RESUME","timestamp":{"seconds":-1,"microseconds":-1}}'), {
    kind: 'event',
    event: { name: 'RESUME', data: {}, atMs: null },
  })
  for (const name of ['toString', '__proto__', 'constructor']) {
    const message = parse(`{"event":"${name}",${timestamp}}`)
    assert.ok(message?.kind === 'event' && message.event.name === null, name)
  }
})

for (const line of [
  '{"return":{}}',
  '{"return":{},"id":"3"}',
  '{"error":{"class":"GenericError","desc":"JSON parse error"}}',
  '{"error":"no","id":1}',
  '{"event":"STOP"}',
  '{"QMP":{}}',
  '{}',
  '[]',
  'null',
  '7',
  '{"return":',
  '\u0000',
]) {
  test(`${JSON.stringify(line)} is no message`, () => {
    assert.throws(() => parse(line), isProtocolError)
  })
}

test('whatever comes, it is a message or an error of ours', () => {
  const throwsOurs = (line: Uint8Array) => {
    try {
      parseMessage(line)
    } catch (error) {
      assert.ok(isProtocolError(error))
    }
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), throwsOurs))
  fc.assert(
    fc.property(fc.json(), fc.constantFrom('QMP', 'return', 'error', 'event', 'id'), (json, key) =>
      throwsOurs(Buffer.from(`{"${key}":${json},"id":1,"timestamp":{"seconds":1,"microseconds":1}}`)),
    ),
  )
})

test('what the parser quotes of a line does not come along', () => {
  try {
    parse('{"return": s3cret')
    assert.fail()
  } catch (error) {
    assert.ok(isProtocolError(error) && error.cause instanceof Error)
    assert.doesNotMatch(error.cause.message, /s3cret/)
  }
})

function isProtocolError(error: unknown): error is QmpError {
  return error instanceof QmpError && error.code === 'protocol'
}
