import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyedLock } from './keyed-lock.ts'

test('one at a time under one key, in order, whatever fails; different keys at once', async () => {
  const lock = new KeyedLock()
  const gate = Promise.withResolvers<void>()
  const done: string[] = []
  const first = lock.run('a', async () => {
    await gate.promise
    done.push('first')
    throw new Error('failed')
  })
  const second = lock.run('a', async () => void done.push('second'))
  await lock.run('b', async () => void done.push('other'))
  gate.resolve()
  await assert.rejects(first, /failed/)
  await second
  assert.deepEqual(done, ['other', 'first', 'second'])
})
