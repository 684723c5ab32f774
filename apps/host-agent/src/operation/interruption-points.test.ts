import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '@cryptvisor/testkit'
import { scenarios } from '../testing/crash-scenarios.ts'
import { interrupt } from '../testing/crash-simulation.ts'

/** `./run test --long`: an operation is interrupted at each of its calls. */
const long = process.env['CRYPTVISOR_TEST_LONG'] !== undefined

const seedDefault = 20_260_714

/** In the short run it is interrupted so often, at calls further and further on. */
const interruptionsMin = 4

/** More calls than any of the operations makes. */
const callsMax = 2000

for (const interruption of ['cancel', 'stop'] as const) {
  for (const [name, prepare] of Object.entries(scenarios)) {
    test(`${name}: a ${interruption} at any call leaves the old or the new state, whole`, async (context) => {
      const random = SeededRandom.of(context, seedDefault)
      const scenario = await prepare(name, random, {})
      using _keys = scenario.keys
      const states = new Map<string, number>()
      let step = 1
      for (let at = 0; at < callsMax; at += long ? 1 : 1 + random.below(2 * step)) {
        const state = await interrupt(scenario, interruption, at)
        if (state === null) break
        states.set(state, (states.get(state) ?? 0) + 1)
        step = Math.max(1, at / (interruptionsMin / 2))
      }
      context.diagnostic(JSON.stringify([...states]))
      assert.ok(states.size > 0)
    })
  }
}
