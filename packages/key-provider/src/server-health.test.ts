import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerHealth } from './server-health.ts'

const limits = { avoidMs: 100, avoidMaxMs: 400 }

/** How long it is avoided after a failure at `now`. */
function failAt(health: ServerHealth, now: number): number {
  health.begins()
  health.failed(now)
  let until = now
  while (health.isAvoided(until)) until++
  return until - now
}

test('each failure in a row doubles the time, up to its limit; an answer begins anew', () => {
  const health = new ServerHealth(limits, () => 0.5)
  assert.equal(health.isAvoided(0), false)
  let now = 0
  const times = Array.from({ length: 5 }, () => {
    const time = failAt(health, now)
    now += time
    return time
  })
  assert.deepEqual(times, [100, 200, 400, 400, 400])
  health.answered()
  assert.equal(health.isAvoided(now), false)
  assert.equal(failAt(health, now), 100)
})

test('the time is half to one and a half times as long, by chance', () => {
  for (const [chance, expected] of [
    [0, 50],
    [0.999, 150],
  ] as const) {
    assert.equal(failAt(new ServerHealth(limits, () => chance), 0), expected)
  }
})

test('requests that were under way when the first one failed count as one failure', () => {
  const health = new ServerHealth(limits, () => 0.5)
  for (const _ of [1, 2, 3]) health.begins()
  for (const _ of [1, 2, 3]) health.failed(0)
  assert.equal(health.isAvoided(99), true)
  assert.equal(health.isAvoided(100), false)
})

test('while one request tries it the others go elsewhere, whatever becomes of it', () => {
  const health = new ServerHealth(limits, () => 0.5)
  health.begins()
  health.failed(0)
  assert.equal(health.isAvoided(100), false)
  health.begins()
  assert.equal(health.isAvoided(100), true)
  health.undecided()
  assert.equal(health.isAvoided(100), false, 'the next one may try')
  health.begins()
  health.failed(100)
  assert.equal(health.isAvoided(299), true)
  assert.equal(health.isAvoided(300), false)
})
