import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { OperationRequest, OperationStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import type { FaultOutcome, SeededRandom, SimulatedStorage, Survival } from '@cryptvisor/testkit'
import type { KeyCache } from '../key-cache.ts'
import { runToEnd, startedOperations } from './simulated-host.ts'

/** An operation, ready to be run on a disk that is durable as it is. */
export interface Scenario {
  readonly name: string
  readonly storage: SimulatedStorage
  /** The KEKs that the host holds, before and after each crash. */
  readonly keys: KeyCache
  readonly request: OperationRequest
  /** What an import is given. */
  readonly content: Uint8Array | null
  /**
   * Looks at what is left, and throws where it is not whole: the VM after the operation, `null` for a deleted one, or
   * `before` for the one before it.
   */
  checkWhole(storage: SimulatedStorage, vm: VmAuthority | null | 'before'): Promise<void>
}

/** An operation that was run to its end once, to be cut off anywhere. */
interface Recording {
  readonly scenario: Scenario
  readonly id: string
  readonly storage: SimulatedStorage
  /** How many events there were when it said that it was done, and with which VM. */
  readonly doneAt: number
  readonly vm: VmAuthority | null
}

/** What a sweep over cuts found. */
export interface CutCount {
  /** Of the operation, and of recoveries of it. */
  cutCount: number
  /** How often a recovery came to which state. */
  readonly states: Map<string, number>
}

/** Runs an operation to its end. */
export async function record(scenario: Scenario): Promise<Recording> {
  const storage = scenario.storage.cut(scenario.storage.trace.length, 'everything')
  const id = randomUUID()
  await using operations = startedOperations(storage, scenario.keys)
  const { state, vm, error } = await runToEnd(operations, id, scenario.request, scenario.content)
  assert.equal(state, 'done', `${scenario.name}: ${error?.code} ${error?.message}`)
  const doneAt = storage.trace.length
  await operations.forget(id)
  return { scenario, id, storage, doneAt, vm }
}

/**
 * Cuts a recorded operation before event `at` in one way, lets a new agent recover it, cuts that recovery off too at a
 * place of `random`'s choice and recovers it again; then all must be whole. Throws an error that names event and seed.
 */
export async function cutAndRecover(
  recording: Recording,
  at: number,
  fate: Survival,
  random: SeededRandom,
  count: CutCount,
): Promise<void> {
  const where = [`cut before event ${at} of ${recording.storage.trace.length}, ${String(fate)}`]
  try {
    const cut = recording.storage.cut(at, fate)
    count.cutCount++
    if (at > recording.doneAt) {
      // The outcome is on record already, and nobody asks for it again.
      await recording.scenario.checkWhole(cut, recording.vm)
      return
    }
    const first = await recoverOn(recording, cut)
    const secondAt = random.below(cut.trace.length + 1)
    where.push(`its recovery (${first.state}) cut before event ${secondAt} of ${cut.trace.length}`)
    const again = cut.cut(secondAt, fate === 'nothing' ? 'nothing' : random)
    count.cutCount++
    if (at === recording.doneAt) assert.equal(first.state, 'done', 'what was done stays done')
    if (secondAt >= first.endedAt) await recording.scenario.checkWhole(again, first.vm)
    if (secondAt <= first.endedAt) {
      const second = await recoverOn(recording, again)
      where.push(`recovered once more (${second.state})`)
      if (secondAt === first.endedAt) assert.equal(second.state === 'done', first.state === 'done')
      await recording.scenario.checkWhole(again, second.vm)
    }
    count.states.set(first.state, (count.states.get(first.state) ?? 0) + 1)
    await recording.scenario.checkWhole(cut, first.vm)
  } catch (error) {
    throw new Error(`${recording.scenario.name}, ${where.join(', ')}`, { cause: error })
  }
}

/** How an operation ended that met a fault. */
export interface Faulted {
  readonly state: OperationStatus['state']
  readonly error: OperationStatus['error']
}

/**
 * Runs an operation on a disk with a fault, then looks whether all is whole: as it was before where the operation failed,
 * as it says where it is done; and that a power cut right after that changes nothing of it.
 */
export async function runWithFault(scenario: Scenario, prepare: (storage: SimulatedStorage) => void): Promise<Faulted> {
  const storage = scenario.storage.cut(scenario.storage.trace.length, 'everything')
  prepare(storage)
  const id = randomUUID()
  const { state, vm, error } = await (async () => {
    await using operations = startedOperations(storage, scenario.keys)
    return await runToEnd(operations, id, scenario.request, scenario.content)
  })()
  storage.clearFaults()
  const left = state === 'done' ? vm : 'before'
  await scenario.checkWhole(storage, left)
  await scenario.checkWhole(storage.cut(storage.trace.length, 'nothing'), left)
  return { state, error }
}

/**
 * Cuts a recorded operation before event `at`, lets its recovery meet one fault at a call of `random`'s choice, and then lets it
 * be asked for again until it says how it ended. All must be whole. Gives whether the fault came.
 */
export async function recoverWithFault(
  recording: Recording,
  at: number,
  fate: Survival,
  outcome: FaultOutcome,
  random: SeededRandom,
): Promise<boolean> {
  // Short recoveries are met as often as long ones.
  const call = Math.floor(faultCallsMax ** random.fraction()) - 1
  let [callCount, where] = [0, '']
  try {
    const storage = recording.storage.cut(at, fate)
    storage.fail({
      when: (found) => {
        if (callCount++ !== call) return false
        where = `${found.kind} ${found.path}`
        return true
      },
      outcome,
      times: 1,
    })
    const first = await recoverOn(recording, storage).catch(() => null)
    storage.clearFaults()
    const { state, vm } = first ?? (await recoverOn(recording, storage))
    if (at === recording.doneAt) assert.equal(state, 'done', 'what was done stays done')
    await recording.scenario.checkWhole(storage, vm)
    await recording.scenario.checkWhole(storage.cut(storage.trace.length, 'nothing'), vm)
    return where !== ''
  } catch (error) {
    const what = `cut before event ${at}, ${String(fate)}, ${JSON.stringify(outcome)} at ${where}`
    throw new Error(`${recording.scenario.name}, ${what}`, { cause: error })
  }
}

/** Recoveries make about as many calls. */
const faultCallsMax = 200

/**
 * Runs an operation and does something to it at call `at` to its disk: cancels it, or stops its agent; then one that knows
 * nothing recovers it. All must be whole in the end. Gives how it ended; `null` when it made fewer calls.
 */
export async function interrupt(
  scenario: Scenario,
  interruption: 'cancel' | 'stop',
  at: number,
): Promise<OperationStatus['state'] | null> {
  const storage = scenario.storage.cut(scenario.storage.trace.length, 'everything')
  const id = randomUUID()
  const operations = startedOperations(storage, scenario.keys)
  const over = new AbortController()
  let [callCount, ending] = [0, Promise.resolve()]
  const end = async () => {
    if (interruption === 'cancel') operations.cancel(id)
    else await operations[Symbol.asyncDispose]()
    if (interruption === 'stop') over.abort()
  }
  storage.fail({
    when: () => {
      if (callCount++ === at) ending = end()
      return false
    },
    outcome: { code: 'EIO' },
    times: 1,
  })
  const { state, vm } = await runToEnd(operations, id, scenario.request, scenario.content, over.signal)
  await ending
  await operations[Symbol.asyncDispose]()
  storage.clearFaults()
  if (callCount <= at) return null
  if (state !== 'running') await scenario.checkWhole(storage, state === 'done' ? vm : 'before')
  const recovered = await recoverOn({ scenario, id }, storage)
  if (state !== 'running') assert.equal(recovered.state === 'done', state === 'done')
  await scenario.checkWhole(storage, recovered.vm)
  return state === 'running' ? recovered.state : state
}

/** How a recovery ended. */
interface Recovered {
  readonly state: OperationStatus['state']
  /** The VM that must be there now. */
  readonly vm: VmAuthority | null | 'before'
  /** How many events there were when it said so. */
  readonly endedAt: number
}

/** An agent that knows nothing recovers the operation, and has its outcome put on record. */
async function recoverOn(
  { scenario, id }: Pick<Recording, 'scenario' | 'id'>,
  storage: SimulatedStorage,
): Promise<Recovered> {
  await using operations = startedOperations(storage, scenario.keys)
  const { state, vm } = await operations.recover(id, scenario.request)
  assert.ok(['done', 'failed', 'unknown'].includes(state), `the recovery says ${state}`)
  const endedAt = storage.trace.length
  if (state !== 'unknown') await operations.forget(id)
  return { state, vm: state === 'done' ? vm : 'before', endedAt }
}
