import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom, type Survival } from '@cryptvisor/testkit'
import { scenarios } from '../testing/crash-scenarios.ts'
import { type CutCount, cutAndRecover, record, recoverWithFault } from '../testing/crash-simulation.ts'

/** `./run test --long`: every event is cut in each fixed way and in many seeded ones. */
const long = process.env['CRYPTVISOR_TEST_LONG'] !== undefined

const seedDefault = 20_260_705
const seedsPerEvent = 2
const longCutCountMin = 10_000

/** How many events of an operation are cut in the short run, each in one way. */
const eventsMax = 25

/** How many recoveries of each operation meet a fault; some of them are over before. */
const faultedRecoveries = long ? 100 : 8

/** They wait a second before they try again. */
const recoveriesAtOnce = 8

const fixedFates: readonly Survival[] = ['nothing', 'everything', 'killed']

const total: CutCount = { cutCount: 0, states: new Map() }

/** Which events are cut, and how. */
function* plannedCuts(eventCount: number, random: SeededRandom): Generator<[at: number, fate: Survival]> {
  if (long) {
    for (let at = 0; at <= eventCount; at++) {
      for (const fate of fixedFates) yield [at, fate]
      for (let seed = 0; seed < seedsPerEvent; seed++) yield [at, random.fork()]
    }
    return
  }
  const step = Math.max(1, (eventCount + 1) / eventsMax)
  for (let at = random.fraction() * step; at <= eventCount; at += step) {
    yield [Math.floor(at), random.chance(0.4) ? random.pick(fixedFates) : random.fork()]
  }
}

for (const [name, prepare] of Object.entries(scenarios)) {
  test(`${name}: cut at any event, the old or the new state is there, whole`, async (context) => {
    const random = SeededRandom.of(context, seedDefault)
    const scenario = await prepare(name, random, {})
    using _keys = scenario.keys
    const recording = await record(scenario)
    const eventCount = recording.storage.trace.length
    const count: CutCount = { cutCount: 0, states: new Map() }
    for (const [at, fate] of plannedCuts(eventCount, random)) await cutAndRecover(recording, at, fate, random, count)
    context.diagnostic(
      `${count.cutCount} cuts over ${eventCount} events; recoveries: ${JSON.stringify([...count.states])}`,
    )
    assert.ok(count.states.has('done'), 'some cuts came after the commit')
    assert.ok(count.cutCount >= Math.min(eventCount, eventsMax))
    total.cutCount += count.cutCount
  })
}

for (const [name, prepare] of Object.entries(scenarios)) {
  test(`${name}: a recovery that meets a fault is done again`, async (context) => {
    const random = SeededRandom.of(context, seedDefault)
    const scenario = await prepare(name, random, {})
    using _keys = scenario.keys
    const recording = await record(scenario)
    const runs = Array.from({ length: faultedRecoveries }, () => ({
      at: random.below(recording.doneAt + 1),
      random: random.fork(),
    }))
    let faultCount = 0
    for (let start = 0; start < runs.length; start += recoveriesAtOnce) {
      const met = runs.slice(start, start + recoveriesAtOnce).map(async (run) => {
        const code = run.random.pick(['EIO', 'ENOSPC'] as const)
        if (await recoverWithFault(recording, run.at, run.random.fork(), { code }, run.random)) faultCount++
      })
      await Promise.all(met)
    }
    context.diagnostic(`${faultCount} faults`)
    assert.ok(faultCount > 0)
  })
}

test('an encryption on a disk that lies about its syncs is found to be broken', async (context) => {
  const random = SeededRandom.of(context, seedDefault)
  const { encrypt } = scenarios
  const scenario = await encrypt('encrypt on a disk that lies', random, { lies: true })
  using _keys = scenario.keys
  const recording = await record(scenario)
  const count: CutCount = { cutCount: 0, states: new Map() }
  const cut = cutAndRecover(recording, recording.doneAt, 'nothing', random, count)
  await assert.rejects(cut, /encrypt on a disk that lies, cut before event/)
})

test('as many cuts were made as were meant', (context) => {
  context.diagnostic(`${total.cutCount} cuts over all operations, from seed ${seedDefault}`)
  assert.ok(total.cutCount >= (long ? longCutCountMin : 100), `${total.cutCount}`)
})
