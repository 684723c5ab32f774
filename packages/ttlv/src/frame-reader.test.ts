import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anyValue, encode, FrameReader } from './index.ts'

const tag = 0x420078
const item = anyValue(tag)

function message(size: number): Uint8Array {
  return encode(
    item,
    { type: 'Structure', value: [{ tag: 0x420021, type: 'ByteString', value: new Uint8Array(size).fill(7) }] },
    { version: { major: 1, minor: 4 } },
  )
}

test('messages come out whole, however the stream is cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 8 }),
      (sizes, cuts) => {
        const sent = sizes.map(message)
        const stream = Buffer.concat(sent)
        const reader = new FrameReader({ tag })
        const got: Uint8Array[] = []
        for (let offset = 0, turn = 0; offset < stream.length; turn++) {
          const end = offset + (cuts[turn % cuts.length] ?? 1)
          got.push(...reader.push(Uint8Array.from(stream.subarray(offset, end))))
          offset = end
        }
        assert.deepEqual(got, sent)
        assert.equal(reader.isInMessage, false)
      },
    ),
    { numRuns: 50 },
  )
})

test('a header is refused before anything is kept', () => {
  const push = (hex: string) => [...new FrameReader({ tag, messageSizeMax: 64 }).push(Buffer.from(hex, 'hex'))]
  assert.throws(() => push('42007b01 00000008'.replace(' ', '')), { code: 'wrong-tag' })
  assert.throws(() => push('4200780200000008'), { code: 'wrong-type' })
  assert.throws(() => push('4200780100000040'), { code: 'limit-exceeded' })
  assert.throws(() => push('42007801ffffffff'), { code: 'limit-exceeded' })
  assert.throws(() => push('4200780100000004'), { code: 'wrong-length' })
  assert.deepEqual(push('4200780100000038'), [])
  assert.throws(() => push('474554202f20485454502f312e310d0a'), { code: 'wrong-tag' })
})

test('chunks are wiped, and so is what is left of a message', () => {
  const reader = new FrameReader({ tag })
  const whole = message(5000)
  const chunk = whole.slice(0, 4000)
  assert.deepEqual([...reader.push(chunk)], [])
  assert.ok(chunk.every((byte) => byte === 0))
  assert.equal(reader.isInMessage, true)
  reader.wipe()
  assert.equal(reader.isInMessage, false)
  assert.deepEqual([...reader.push(whole.slice())], [whole])
})
