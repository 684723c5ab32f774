import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hardwareUuid, realUuid } from './hardware-uuid.ts'

test('a UUID of real firmware is taken, in lower case', () => {
  assert.equal(realUuid('4C4C4544-0034-4A10-8052-B7C04F593232\n'), '4c4c4544-0034-4a10-8052-b7c04f593232')
})

test('what vendors fill in is not a UUID', () => {
  for (const filler of [
    '00000000-0000-0000-0000-000000000000',
    'FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF',
    '03000200-0400-0500-0006-000700080009',
    'To be filled by O.E.M.',
    '',
  ]) {
    assert.equal(realUuid(filler), null)
  }
})

test('each new one is another', async () => {
  assert.notEqual(await hardwareUuid('new'), await hardwareUuid('new'))
})
