import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memberSizeMax, paddingBytes, parseTarHeader, tarHeader } from './tar-header.ts'

test('a header says what it was made of, up to the largest size', () => {
  for (const member of [
    { name: 'manifest.json', sizeBytes: 0 },
    { name: 'control-plane.sqlite', sizeBytes: memberSizeMax },
  ]) {
    assert.deepEqual(parseTarHeader(tarHeader(member, 1_700_000_000_123)), member)
  }
  assert.throws(() => tarHeader({ name: '../escape', sizeBytes: 1 }, 0))
  assert.throws(() => tarHeader({ name: 'a', sizeBytes: memberSizeMax + 1 }, 0))
})

test('a header that differs in any one byte is none of ours', () => {
  const header = tarHeader({ name: 'ca.pem', sizeBytes: 700 }, 1_700_000_000_000)
  for (let index = 0; index < header.length; index++) {
    const changed = Buffer.from(header)
    changed[index] = (changed[index] ?? 0) ^ 0x01
    assert.equal(parseTarHeader(changed), null, `byte ${index}`)
  }
  assert.equal(parseTarHeader(Buffer.alloc(512)), null)
  assert.equal(parseTarHeader(header.subarray(1)), null)
})

test('contents are filled up to whole blocks', () => {
  assert.deepEqual([0, 1, 511, 512, 513].map(paddingBytes), [0, 511, 1, 0, 511])
})
