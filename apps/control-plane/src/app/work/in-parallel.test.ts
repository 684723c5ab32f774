import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inParallel } from './in-parallel.ts'

test('no more at once than may be, and the first error comes when all were tried', async () => {
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

test('all are tried, also when as many fail as may run at once', async () => {
  const tried: number[] = []
  const run = inParallel([0, 1, 2, 3, 4], 2, async (item) => {
    tried.push(item)
    await Promise.resolve()
    throw new Error(`item ${item}`)
  })
  await assert.rejects(run, /item 0/)
  assert.deepEqual(tried, [0, 1, 2, 3, 4])
})
