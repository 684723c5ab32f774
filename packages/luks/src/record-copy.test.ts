import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { createHeader } from './create-header.ts'
import { parseHeader } from './header.ts'
import { unlock } from './key-slot.ts'
import {
  decodeRecordCopy,
  encodeRecordCopy,
  readRecordCopies,
  recordCopyOffsetBytes,
  recordCopySizeBytes,
  writeRecordCopy,
} from './record-copy.ts'

async function volume() {
  using volumeKey = Secret.random(64)
  const passphrase = Secret.random(64)
  const uuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'
  const bytes = await createHeader({ volumeKey, passphrase, uuid })
  return { bytes, passphrase, header: parseHeader(bytes) }
}

test('the copies lie at payload - 16 KiB and payload - 8 KiB, and are empty at first', async () => {
  const { bytes, header } = await volume()
  assert.equal(recordCopyOffsetBytes(header, 'A'), 2_097_152 - 16_384)
  assert.equal(recordCopyOffsetBytes(header, 'B'), 2_097_152 - 8192)
  assert.deepEqual(readRecordCopies(bytes, header), { A: { state: 'empty' }, B: { state: 'empty' } })
})

test('a copy is written without touching the other or a key slot', async () => {
  const { bytes, header, passphrase } = await volume()
  const before = Uint8Array.from(bytes)
  writeRecordCopy(bytes, header, 'B', '{"b":1}')
  assert.deepEqual(readRecordCopies(bytes, header), { A: { state: 'empty' }, B: { state: 'text', text: '{"b":1}' } })
  assert.deepEqual(bytes.subarray(0, 2_097_152 - 8192), before.subarray(0, 2_097_152 - 8192))
  writeRecordCopy(bytes, header, 'A', '{"a":22}')
  writeRecordCopy(bytes, header, 'A', '{"a":3}')
  assert.deepEqual(readRecordCopies(bytes, header).A, { state: 'text', text: '{"a":3}' })
  using _ = await unlock(bytes, passphrase)
})

test('encode and decode invert each other up to the full size', () => {
  const printable = fc.string({
    unit: fc.integer({ min: 32, max: 126 }).map((code) => String.fromCharCode(code)),
    minLength: 1,
  })
  fc.assert(
    fc.property(printable, (text) => {
      assert.deepEqual(decodeRecordCopy(encodeRecordCopy(text)), { state: 'text', text })
    }),
  )
  const full = 'x'.repeat(recordCopySizeBytes)
  assert.deepEqual(decodeRecordCopy(encodeRecordCopy(full)), { state: 'text', text: full })
  assert.throws(() => encodeRecordCopy(`${full}x`), { code: 'record-too-large' })
  assert.throws(() => encodeRecordCopy(''), { code: 'bad-record-text' })
  assert.throws(() => encodeRecordCopy('{"a":"é"}'), { code: 'bad-record-text' })
  assert.throws(() => encodeRecordCopy('a\0b'), { code: 'bad-record-text' })
})

test('damage of a copy is told, not repaired', () => {
  const bytes = encodeRecordCopy('{}')
  bytes[recordCopySizeBytes - 1] = 1
  assert.equal(decodeRecordCopy(bytes).state, 'damaged')
  const late = new Uint8Array(recordCopySizeBytes)
  late[1] = 0x7b
  assert.equal(decodeRecordCopy(late).state, 'damaged')
  const binary = encodeRecordCopy('{}')
  binary[1] = 0x80
  assert.equal(decodeRecordCopy(binary).state, 'damaged')
  assert.equal(decodeRecordCopy(new Uint8Array(10)).state, 'damaged')
})

test('a volume whose key slots reach up to the payload has no room for a record', async () => {
  const { bytes } = await volume()
  // Where QEMU's own formatter puts the payload: right behind the last slot.
  Buffer.from(bytes.buffer).writeUInt32BE(4040, 104)
  const header = parseHeader(bytes)
  assert.throws(() => recordCopyOffsetBytes(header, 'A'), { code: 'no-record-room' })
  assert.throws(() => writeRecordCopy(bytes, header, 'A', '{}'), { code: 'no-record-room' })
})
