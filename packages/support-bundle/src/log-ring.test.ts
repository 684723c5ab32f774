import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LogRing } from './log-ring.ts'

test('the newest lines stay, within the size, and the rest is counted', () => {
  const ring = new LogRing(1000)
  for (let index = 0; index < 500; index++) ring.write(`line ${String(index).padStart(4, '0')}\n`)
  assert.equal(ring.lines.at(-1), 'line 0499')
  assert.ok(ring.lines.join('').length <= 1000 && ring.lines.length >= 70)
  assert.equal(ring.droppedCount + ring.lines.length, 500)
})

test('one line that is longer than all is cut, and kept', () => {
  const ring = new LogRing(1000)
  ring.write('a\n')
  ring.write(`${'b'.repeat(100_000)}\n`)
  assert.equal(ring.lines.length, 1)
  assert.equal(ring.lines[0]?.length, 16_384)
})
