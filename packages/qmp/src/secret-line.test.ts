import assert from 'node:assert/strict'
import { createDecipheriv } from 'node:crypto'
import { test } from 'node:test'
import { Secret } from '@cryptvisor/secret'
import fc from 'fast-check'
import { MasterSecret } from './master-secret.ts'
import { secretLine } from './secret-line.ts'

test('the line is the JSON that it stands for', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), fc.uint8Array({ maxLength: 20 }), fc.nat(), (data, iv, id) => {
      const line = secretLine(id, { id: 'k-1', masterId: 'master' }, { iv, data }).toString()
      const expected = {
        execute: 'object-add',
        id,
        arguments: {
          'qom-type': 'secret',
          id: 'k-1',
          keyid: 'master',
          format: 'base64',
          iv: Buffer.from(iv).toString('base64'),
          data: Buffer.from(data).toString('base64'),
        },
      }
      assert.equal(line, `${JSON.stringify(expected)}\n`)
    }),
  )
})

test('IDs that would need escapes are refused', () => {
  const wrapped = { iv: new Uint8Array(16), data: new Uint8Array(16) }
  for (const id of ['', '1a', 'a"', 'a b', 'ä', 'a'.repeat(128)]) {
    assert.throws(() => secretLine(1, { id, masterId: 'm' }, wrapped), RangeError, id)
    assert.throws(() => secretLine(1, { id: 'k', masterId: id }, wrapped), RangeError, id)
  }
})

test('what is wrapped opens with the master alone, and each wrap has its own IV', () => {
  using master = MasterSecret.create()
  using secret = Secret.from(Buffer.from('0123456789abcdef'.repeat(4)))
  const one = master.wrap(secret)
  const two = master.wrap(secret)
  assert.notDeepEqual(one.iv, two.iv)
  assert.notDeepEqual(one.data, two.data)
  const opened = master.key.expose((key) => {
    const decipher = createDecipheriv('aes-256-cbc', key, one.iv)
    return Buffer.concat([decipher.update(one.data), decipher.final()])
  })
  assert.equal(opened.toString(), '0123456789abcdef'.repeat(4))
})
