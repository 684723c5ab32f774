import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from './random.ts'

test('one seed gives the same numbers again, another one others', () => {
  const draw = (seed: number) => new SeededRandom(seed).bytes(64)
  assert.deepEqual(draw(7), draw(7))
  assert.notDeepEqual(draw(7), draw(8))
  assert.throws(() => new SeededRandom(-1), /no seed of 32 bits/)
})

test('numbers fill their range evenly, also those of neighbouring seeds', () => {
  const counts = (draw: (at: number) => number) => {
    const counts = new Array<number>(10).fill(0)
    for (let at = 0; at < 10_000; at++) {
      const value = draw(at)
      counts[value] = (counts[value] ?? 0) + 1
    }
    return counts
  }
  const one = new SeededRandom(1)
  for (const found of [counts(() => one.below(10)), counts((at) => new SeededRandom(at).below(10))]) {
    assert.ok(
      found.every((count) => count > 850 && count < 1150),
      String(found),
    )
  }
})

test('the seed of a run is told, and taken from the environment', () => {
  const told: string[] = []
  const teller = { diagnostic: (message: string) => void told.push(message) }
  const before = process.env['CRYPTVISOR_TEST_SEED']
  try {
    delete process.env['CRYPTVISOR_TEST_SEED']
    assert.equal(SeededRandom.of(teller, 5).seed, 5)
    process.env['CRYPTVISOR_TEST_SEED'] = '42'
    assert.equal(SeededRandom.of(teller, 5).toString(), 'seed 42')
  } finally {
    if (before === undefined) delete process.env['CRYPTVISOR_TEST_SEED']
    else process.env['CRYPTVISOR_TEST_SEED'] = before
  }
  assert.match(told.join('\n'), /seed 5;.*\nseed 42;/)
})
