import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NameLockOuts, namesMax } from './name-lock-outs.ts'

test('names are locked out by address, for longer each time, and no number of them takes all memory', () => {
  let now = 0
  const lockOuts = new NameLockOuts(() => now)
  const fail = (name: string, address: string, times: number) => {
    for (let each = 0; each < times; each++) lockOuts.count(name, address)
  }
  fail('kim@corp', 'a', 4)
  assert.equal(lockOuts.isLockedOut('kim@corp', 'a'), false)
  fail('kim@corp', 'a', 1)
  assert.equal(lockOuts.isLockedOut('kim@corp', 'a'), true)
  assert.equal(lockOuts.isLockedOut('kim@corp', 'b'), false)
  assert.equal(lockOuts.isLockedOut('lee@corp', 'a'), false)
  now += 30_000
  assert.equal(lockOuts.isLockedOut('kim@corp', 'a'), false)
  fail('kim@corp', 'a', 1)
  now += 30_000
  assert.equal(lockOuts.isLockedOut('kim@corp', 'a'), true)
  lockOuts.forget('kim@corp', 'a')
  assert.equal(lockOuts.isLockedOut('kim@corp', 'a'), false)
  fail('old@corp', 'a', 5)
  for (let index = 0; index < namesMax; index++) fail(`name-${index}@corp`, 'a', 1)
  assert.equal(lockOuts.isLockedOut('old@corp', 'a'), false)
})
