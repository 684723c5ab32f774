import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { createHeader } from './create-header.ts'
import { parseHeader } from './header.ts'
import { backupHeader, restoreHeader } from './header-backup.ts'
import { LuksError } from './luks-error.ts'
import { writeRecordCopy } from './record-copy.ts'

const uuid = '0f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'
const bytes = await createHeader({ volumeKey: Secret.random(64), passphrase: Secret.random(64), uuid })
writeRecordCopy(bytes, parseHeader(bytes), 'A', '{"copy":"A"}')
const volume = { uuid, payloadOffsetBytes: 2_097_152 }
const backup = backupHeader(bytes)

test('a backup says what it is of, and gives back every byte', () => {
  assert.deepEqual(restoreHeader(backup, volume), bytes)
  assert.deepEqual(restoreHeader(backup, { uuid, payloadOffsetBytes: null }), bytes)
  const [line] = Buffer.from(backup).toString('latin1').split('\n')
  assert.partialDeepStrictEqual(JSON.parse(line ?? ''), { format: 'cryptvisor-luks-header', version: 1, ...volume })
  assert.deepEqual(backup.subarray(512), bytes)
})

test('bytes of the payload do not get into a backup', () => {
  assert.deepEqual(backupHeader(Buffer.concat([bytes, Buffer.alloc(512, 1)])), backup)
  assert.throws(() => backupHeader(bytes.subarray(0, -1)), { name: 'LuksError', code: 'truncated' })
})

test('a backup is restored to its own volume only', () => {
  const other = '1f4c5a3e-3b7d-4c55-9f0f-1a2b3c4d5e6f'
  assert.throws(() => restoreHeader(backup, { ...volume, uuid: other }), {
    code: 'other-volume',
    message: /not of 1f4c/,
  })
  assert.throws(() => restoreHeader(backup, { ...volume, payloadOffsetBytes: 2_068_480 }), {
    code: 'other-volume',
    message: /payload at 2097152, the volume at 2068480/,
  })
})

const withPreamble = (text: string) => {
  const changed = Buffer.from(backup)
  changed.fill(0, 0, 512).write(text)
  return changed
}
const preamble = Buffer.from(backup).toString('latin1').split('\n')[0] ?? ''

for (const [name, damaged] of [
  ['nothing', new Uint8Array()],
  ['its preamble alone', backup.subarray(0, 512)],
  ['a byte less', backup.subarray(0, -1)],
  ['a byte more', Buffer.concat([backup, Buffer.alloc(1)])],
  ['the header without a preamble', bytes],
  ['a preamble that is no JSON', withPreamble('{nothing}\n')],
  ['a preamble without an end', withPreamble(preamble)],
  ['text behind the preamble', withPreamble(`${preamble}\n0`)],
  ['another format', withPreamble(`${preamble.replace('luks-header', 'tape')}\n`)],
  ['another version', withPreamble(`${preamble.replace('"version":1', '"version":2')}\n`)],
  ['a field too many', withPreamble(`${preamble.replace('{', '{"x":1,')}\n`)],
  ['no UUID', withPreamble(`${preamble.replace('"uuid"', '"UUID"')}\n`)],
  ['the UUID of another volume', withPreamble(`${preamble.replace('0f4c', '1f4c')}\n`)],
] as const) {
  test(`a backup with ${name} is refused as damaged`, () => {
    assert.throws(() => restoreHeader(damaged, volume), { name: 'LuksError', code: 'bad-backup' })
  })
}

test('no bit of a backup can change', () => {
  fc.assert(
    fc.property(fc.nat({ max: backup.length * 8 - 1 }), (bit) => {
      const changed = Uint8Array.from(backup)
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
      assert.throws(() => restoreHeader(changed, volume), LuksError)
    }),
    { numRuns: 60 },
  )
})
