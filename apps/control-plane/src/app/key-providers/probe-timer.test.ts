import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { KeyProviderStatus } from '@cryptvisor/control-plane-api'
import { ProbeTimer } from './probe-timer.ts'

const hourMs = 3_600_000
const log = { info: () => {}, warn: () => {}, error: () => {} }

/** A timer over providers that are as `health` says, in a time that a test lets pass. */
function setUp(context: TestContext, options: { intervalMs: number; probedAt?: number | null }) {
  context.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: hourMs })
  const probed: number[] = []
  const state = { health: 'green' as KeyProviderStatus['health'], fails: false }
  const timer = new ProbeTimer(
    {
      due: async () => [{ name: 'kms', probedAt: options.probedAt ?? null }],
      probe: async (name) => {
        probed.push(Date.now() - hourMs)
        if (state.fails) throw new Error('no')
        return { name, health: state.health, text: '', since: '', probedAt: '', servers: [] }
      },
    },
    options.intervalMs,
    Date.now,
    () => 0.5,
    log,
  )
  context.after(() => timer.stop())
  /** Lets time pass second by second, and what is due happen. */
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      context.mock.timers.tick(1000)
      for (let turn = 0; turn < 20; turn++) await Promise.resolve()
    }
  }
  return { timer, probed, state, pass }
}

test('a new provider is probed soon, then at the interval', async (context) => {
  const { timer, probed, pass } = setUp(context, { intervalMs: 300_000 })
  timer.start()
  await pass(700)
  assert.equal(probed.length, 3)
  assert.equal(probed[0], 2000)
  const [first = 0, second = 0, third = 0] = probed
  for (const gap of [second - first, third - second]) assert.ok(Math.abs(gap - 300_000) <= 1000, String(gap))
})

test('one that was probed before a restart is not probed again at once', async (context) => {
  const { timer, probed, pass } = setUp(context, { intervalMs: 300_000, probedAt: hourMs - 100_000 })
  timer.start()
  await pass(250)
  assert.equal(probed.length, 1)
  assert.ok(Math.abs((probed[0] ?? 0) - 200_000) <= 1000)
})

test('one that does not work is looked at more often, also when the probe itself fails for a while', async (context) => {
  const { timer, probed, state, pass } = setUp(context, { intervalMs: 300_000 })
  state.health = 'red'
  timer.start()
  await pass(125)
  assert.equal(probed.length, 3)
  state.fails = true
  await pass(60)
  state.fails = false
  state.health = 'green'
  const before = probed.length
  await pass(300)
  assert.ok(probed.length > before)
})

test('one that was changed is probed soon; after the end, and with an interval of 0, none is', async (context) => {
  const { timer, probed, pass } = setUp(context, { intervalMs: 300_000 })
  timer.start()
  await pass(10)
  timer.wake('kms')
  await pass(3)
  assert.equal(probed.length, 2)
  timer.stop()
  timer.wake('kms')
  await pass(1000)
  assert.equal(probed.length, 2)
})

test('with an interval of 0 nothing is probed by itself', async (context) => {
  const { timer, probed, pass } = setUp(context, { intervalMs: 0 })
  timer.start()
  timer.wake('kms')
  await pass(1000)
  assert.deepEqual(probed, [])
})
