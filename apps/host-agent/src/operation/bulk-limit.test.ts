import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BulkLimit } from './bulk-limit.ts'

const never = new AbortController().signal

test('as many as the limit have their turn, the next when one leaves', async () => {
  const limit = new BulkLimit(2)
  const [first, second] = [await limit.enter(never), await limit.enter(never)]
  const order: string[] = []
  const third = limit.enter(never).then((turn) => {
    order.push('third')
    return turn
  })
  const fourth = limit.enter(never).then((turn) => {
    order.push('fourth')
    return turn
  })
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(order, [])
  first[Symbol.dispose]()
  first[Symbol.dispose]()
  await third
  assert.deepEqual(order, ['third'])
  second[Symbol.dispose]()
  ;(await fourth)[Symbol.dispose]()
  assert.deepEqual(order, ['third', 'fourth'])
})

test('whoever gives up waiting takes no turn with it', async () => {
  const limit = new BulkLimit(1)
  const first = await limit.enter(never)
  const giving = new AbortController()
  const waiting = limit.enter(giving.signal)
  const last = limit.enter(never)
  giving.abort(new Error('gave up'))
  await assert.rejects(waiting, /gave up/)
  first[Symbol.dispose]()
  ;(await last)[Symbol.dispose]()
  await assert.rejects(limit.enter(giving.signal), /gave up/)
  ;(await limit.enter(never))[Symbol.dispose]()
})
