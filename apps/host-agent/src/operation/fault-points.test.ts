import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OperationErrorCode } from '@cryptvisor/host-agent-api'
import { type FaultOutcome, SeededRandom, type StorageCall } from '@cryptvisor/testkit'
import type { Static } from 'typebox'
import { scenarios } from '../testing/crash-scenarios.ts'
import { runWithFault, type Scenario } from '../testing/crash-simulation.ts'
import { datastorePath } from '../testing/simulated-host.ts'

const long = process.env['CRYPTVISOR_TEST_LONG'] !== undefined

/** How many of the calls that could fail do fail. */
const faultsPerKind = long ? 120 : 3

/** Less than any of the operations needs. */
const roomMaxBytes = 6_000_000

const seedDefault = 20_260_706

/** So many run at once, since some wait a second before they try again. */
const runsAtOnce = 8

type Code = Static<typeof OperationErrorCode>

interface FaultKind {
  readonly name: string
  readonly calls: readonly StorageCall['kind'][]
  readonly outcome: FaultOutcome
  /** What an operation may say that failed for it. */
  readonly codes: readonly Code[]
}

const writing = ['create', 'make-folder', 'write', 'truncate', 'allocate', 'rename'] as const

const faultKinds: readonly FaultKind[] = [
  { name: 'no space', calls: writing, outcome: { code: 'ENOSPC' }, codes: ['no-space'] },
  {
    name: 'a write error',
    calls: [...writing, 'remove-file', 'remove-folder'],
    outcome: { code: 'EIO' },
    codes: ['io'],
  },
  { name: 'a sync error', calls: ['sync', 'sync-folder'], outcome: { code: 'EIO' }, codes: ['io'] },
  { name: 'a read error', calls: ['read', 'stat', 'names', 'open', 'lock'], outcome: { code: 'EIO' }, codes: ['io'] },
  { name: 'a short write', calls: ['write'], outcome: { sizeBytesMax: 1000 }, codes: ['verification-failed'] },
  { name: 'a short read', calls: ['read'], outcome: { sizeBytesMax: 1000 }, codes: ['verification-failed'] },
  {
    name: 'a flipped bit',
    calls: ['read'],
    outcome: { flipBit: 12_345 },
    codes: ['verification-failed', 'datastore-mismatch', 'refused', 'bad-image', 'io'],
  },
]

for (const [name, prepare] of Object.entries(scenarios)) {
  // All kinds at once: what failed after its commit waits a second before it is tried again.
  test(`${name} on a disk with faults: a clear error and the original, or done`, {
    concurrency: true,
  }, async (context) => {
    const random = SeededRandom.of(context, seedDefault)
    const scenario = await prepare(name, random, {})
    using _keys = scenario.keys
    const steps = faultKinds.map((kind) => {
      const own = random.fork()
      return context.test(kind.name, async (step) => {
        const callCount = await countCalls(scenario, kind)
        const chosen = chosenCalls(callCount, own)
        const states: States = { done: 0, failed: 0 }
        await inBatches(chosen, (call) => faultAt(scenario, kind, call, states))
        step.diagnostic(`${chosen.length} of ${callCount} calls: ${JSON.stringify(states)}`)
      })
    })
    const rooms = Array.from({ length: Math.ceil(faultsPerKind / 2) }, () => random.below(roomMaxBytes))
    const little = context.test('little room left', async (step) => {
      const states: States = { done: 0, failed: 0 }
      await inBatches([0, 4096, ...rooms, 2 * roomMaxBytes], (room) => roomOf(scenario, room, states))
      step.diagnostic(JSON.stringify(states))
      assert.ok(states.done > 0)
    })
    await Promise.all([...steps, little])
  })
}

interface States {
  done: number
  failed: number
}

function noteState(state: string, states: States): void {
  assert.ok(state === 'done' || state === 'failed', state)
  states[state]++
}

async function inBatches(items: readonly number[], run: (item: number) => Promise<void>): Promise<void> {
  for (let at = 0; at < items.length; at += runsAtOnce) {
    await Promise.all(items.slice(at, at + runsAtOnce).map(run))
  }
}

function chosenCalls(callCount: number, random: SeededRandom): number[] {
  const all = Array.from({ length: callCount }, (_, call) => call)
  if (callCount <= faultsPerKind) return all
  return Array.from({ length: faultsPerKind }, () => random.below(callCount))
}

/** How many calls of this kind the operation makes where nothing fails. */
async function countCalls(scenario: Scenario, { calls }: FaultKind): Promise<number> {
  let count = 0
  await runWithFault(scenario, (storage) => {
    storage.fail({ when: ({ kind }) => calls.includes(kind) && count++ < 0, outcome: { code: 'EIO' }, times: 1 })
  })
  return count
}

/** Runs an operation where its datastore has `freeBytes` left. */
async function roomOf(scenario: Scenario, freeBytes: number, states: States): Promise<void> {
  const capacityBytes = scenario.storage.usedBytes(datastorePath) + freeBytes
  const storage = scenario.storage.withCapacity(datastorePath, capacityBytes)
  try {
    const { state, error } = await runWithFault({ ...scenario, storage }, () => {})
    noteState(state, states)
    if (error !== null) assert.equal(error.code, 'no-space', error.message)
  } catch (error) {
    throw new Error(`${scenario.name}: with ${freeBytes} free bytes`, { cause: error })
  }
}

async function faultAt(
  scenario: Scenario,
  { name, calls, outcome, codes }: FaultKind,
  call: number,
  states: States,
): Promise<void> {
  let where = ''
  try {
    let count = 0
    const { state, error } = await runWithFault(scenario, (storage) => {
      const isHere = (found: StorageCall) => {
        if (!calls.includes(found.kind) || count++ !== call) return false
        where = `${found.kind} ${found.path} at event ${found.eventCount}`
        return true
      }
      storage.fail({ when: isHere, outcome, times: 1 })
    })
    noteState(state, states)
    if (error !== null) {
      assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
      assert.ok(error.message.length > 20, error.message)
    }
  } catch (error) {
    throw new Error(`${scenario.name}: ${name} at call ${call}, ${where}`, { cause: error })
  }
}
