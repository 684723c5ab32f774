import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inParallel } from './in-parallel.ts'
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

test('no more at once than may be, and the first error comes when the others settled', async () => {
  let running = 0
  let most = 0
  const done: number[] = []
  const run = inParallel([0, 1, 2, 3, 4, 5], 2, async (item) => {
    most = Math.max(most, ++running)
    await Promise.resolve()
    running--
    if (item === 0) throw new Error('the first one')
    done.push(item)
  })
  await assert.rejects(run, /the first one/)
  assert.equal(most, 2)
  assert.deepEqual(done, [1, 2, 3, 4, 5])
})
