import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom, type Survival } from '@cryptvisor/testkit'
import { type CutCount, cutAndRecover, record } from '../testing/crash-simulation.ts'
import { DeviceVm } from '../testing/device-vm.ts'

/** `./run test --long`: every event is cut in each fixed way and in many seeded ones. */
const long = process.env['CRYPTVISOR_TEST_LONG'] !== undefined

const seedDefault = 20_260_711
const seedsPerEvent = long ? 2 : 1
/** In the short run one event of so many is cut. */
const eventStep = long ? 1 : 5
const fixedFates: readonly Survival[] = long ? ['nothing', 'everything', 'killed'] : []

/** More than two steps, and less than one; whole blocks, and not. */
const sizes = { 'a disk of many steps': 5_242_880, 'a disk of odd size': 2_097_152 + 1536, 'a small disk': 65_536 }

for (const [what, sizeBytes] of Object.entries(sizes)) {
  for (const kind of ['encrypt', 'decrypt'] as const) {
    test(`${kind} ${what} in place: cut at any event, it is whole in the end`, async (context) => {
      const random = SeededRandom.of(context, seedDefault)
      using made = await DeviceVm.make(random, sizeBytes)
      if (kind === 'decrypt') await made.run(made.encrypt())
      const recording = await record(made.scenario(`${kind} ${what}`, made[kind]()))
      const count: CutCount = { cutCount: 0, states: new Map() }
      for (
        let at = random.below(eventStep);
        at <= recording.storage.trace.length;
        at += 1 + random.below(2 * eventStep - 1)
      ) {
        for (const fate of fixedFates) await cutAndRecover(recording, at, fate, random, count)
        for (let seed = 0; seed < seedsPerEvent; seed++)
          await cutAndRecover(recording, at, random.fork(), random, count)
      }
      context.diagnostic(`${count.cutCount} cuts; recoveries: ${JSON.stringify([...count.states])}`)
      assert.ok((count.states.get('done') ?? 0) > 0, 'some cuts came after data had moved')
    })
  }
}
