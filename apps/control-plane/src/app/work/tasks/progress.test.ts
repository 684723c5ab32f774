import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProgressMeter } from './progress.ts'

test('the rate is that of the last seconds', () => {
  const meter = new ProgressMeter()
  meter.note('copying', 0, 1000, 0)
  assert.equal(meter.show().rateBytesPerSecond, null, 'one look says nothing')
  meter.note('copying', 100, 1000, 1000)
  assert.equal(meter.show().rateBytesPerSecond, 100)
  assert.equal(meter.show().secondsLeft, 9)
  for (let second = 2; second <= 15; second++) meter.note('copying', 100 + (second - 1) * 20, 1000, second * 1000)
  assert.equal(meter.show().rateBytesPerSecond, 20)
})

test('another step is measured afresh, and what stands still has no end', () => {
  const meter = new ProgressMeter()
  meter.note('copying', 0, 1000, 0)
  meter.note('copying', 500, 1000, 1000)
  meter.note('comparing', 0, 1000, 1001)
  assert.equal(meter.show().rateBytesPerSecond, null)
  meter.note('comparing', 0, 1000, 2001)
  assert.equal(meter.show().rateBytesPerSecond, 0)
  assert.equal(meter.show().secondsLeft, null)
})
