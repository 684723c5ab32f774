import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kysely } from 'kysely'
import { openControlPlaneDatabase } from '../../../database/open.ts'
import type { Schema } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { EventLog } from '../../events.ts'
import type { WorkContext } from '../context.ts'
import { emptyContext } from '../tasks/task-context.ts'
import { TaskRun } from '../tasks/task-run.ts'
import { getTask, insertTask } from '../tasks/task-store.ts'
import { FaultyDatabase, providersOf, Sessions, shortTimings } from '../testing/control-plane-process.ts'
import { Faults, KilledError } from '../testing/faults.ts'
import type { SagaDefinition, SagaState } from './definition.ts'
import { formatSagaContext } from './saga-context.ts'
import { StepSaga } from './step-saga.ts'

/** The world outside: what of each step is there. */
type Outside = Map<string, number>

interface Counting extends SagaState {
  readonly seen: readonly string[]
}

/** A saga of `names`, each of which makes something outside; `fails` does so, and then throws. */
function sagaOf(
  outside: Outside,
  faults: Faults,
  { names, fails = null, forwardFrom = null }: { names: string[]; fails?: string | null; forwardFrom?: string | null },
  failuresMax = Number.POSITIVE_INFINITY,
): SagaDefinition<Counting> {
  let failureCount = 0
  return {
    type: 'test.count',
    steps: names.map((name) => ({
      name,
      forward: name === forwardFrom,
      act: async (run) => {
        await faults.pass(`act ${name}`, () => outside.set(name, 1))
        if (name === fails && failureCount++ < failuresMax) throw new ControlPlaneError('invalid', `${name} fails`)
        return { seen: [...run.state.seen, name] }
      },
      undo: async () => {
        await faults.pass(`undo ${name}`, () => outside.delete(name))
      },
    })),
    succeed: async (_transaction, record, { state }) => {
      await record({ type: 'user.changed', text: `done: ${state.seen.join(' ')}` })
    },
    failed: async (_transaction, record, _run, failure) => {
      await record({ type: 'user.changed', text: `failed: ${failure.message}` })
    },
  }
}

/** What a process works with that dies where `faults` says so. */
function workOf(database: Kysely<Schema>, faults: Faults): WorkContext {
  const faulty = database.withPlugin(new FaultyDatabase(faults))
  const note = () => undefined
  return {
    database: faulty,
    events: new EventLog(faulty, Date.now),
    audit: { note: async () => {} },
    keyProviders: providersOf(new Map(), faults),
    hostConnections: new Sessions(),
    clock: Date.now,
    log: { info: note, warn: note, error: note },
    labels: { vendor: 'v', product: 'p', productVersion: '1' },
    timings: shortTimings,
    stopping: new AbortController().signal,
  }
}

/** One life of a process that carries the saga out; it dies where `faults` says so, and writes nothing more then. */
async function live(
  database: Kysely<Schema>,
  taskId: string,
  saga: SagaDefinition<Counting>,
  faults: Faults,
  cancelled = false,
): Promise<void> {
  const work = workOf(database, faults)
  const run = new TaskRun(work, taskId)
  if (cancelled) run.cancel()
  await new StepSaga(work, saga, run).toEnd()
}

async function newTask(database: Kysely<Schema>): Promise<string> {
  const context = formatSagaContext({ direction: 'forward', index: 0, state: { seen: [] }, failure: null })
  const target = { kind: 'system', id: 'system', name: 'system' } as const
  const row = await insertTask(database, () => 1, {
    type: 'test.count',
    target,
    principal: { name: 'ada' },
    context,
    step: 'queued',
    totalBytes: 0,
  })
  return row.id
}

async function textsOf(database: Kysely<Schema>): Promise<string[]> {
  return (await new EventLog(database, Date.now).list({ after: 0, limit: 100 })).map(({ text }) => text)
}

const names = ['one', 'two', 'three']

test('all steps are done in turn, with what they found out, and the end is on record once', async (context) => {
  const database = await openControlPlaneDatabase(':memory:')
  context.after(() => database.destroy())
  const id = await newTask(database)
  const outside: Outside = new Map()
  await live(database, id, sagaOf(outside, new Faults(), { names }), new Faults())
  const row = await getTask(database, id)
  assert.deepEqual([row.state, row.step, row.context], ['success', 'done', emptyContext])
  assert.deepEqual([...outside.keys()], names)
  assert.deepEqual(await textsOf(database), ['done: one two three'])
})

test('what fails is taken back, the step that failed too, and the task says why', async (context) => {
  const database = await openControlPlaneDatabase(':memory:')
  context.after(() => database.destroy())
  const id = await newTask(database)
  const outside: Outside = new Map()
  await live(database, id, sagaOf(outside, new Faults(), { names, fails: 'three' }), new Faults())
  const row = await getTask(database, id)
  assert.deepEqual([row.state, row.error_code, row.error_message], ['error', 'invalid', 'three fails'])
  assert.equal(outside.size, 0)
  assert.deepEqual(await textsOf(database), ['failed: three fails'])
})

test('a cancelled saga takes everything back; one that only goes forward goes on', async (context) => {
  const database = await openControlPlaneDatabase(':memory:')
  context.after(() => database.destroy())
  const outside: Outside = new Map()
  const id = await newTask(database)
  await live(database, id, sagaOf(outside, new Faults(), { names }), new Faults(), true)
  assert.equal((await getTask(database, id)).state, 'cancelled')
  assert.equal(outside.size, 0)
  const other = await newTask(database)
  await live(database, other, sagaOf(outside, new Faults(), { names, forwardFrom: 'one' }), new Faults(), true)
  assert.equal((await getTask(database, other)).state, 'success')
  assert.equal(outside.size, 3)
})

test('a step that only goes forward is tried again until it works, and says so', async (context) => {
  const database = await openControlPlaneDatabase(':memory:')
  context.after(() => database.destroy())
  const outside: Outside = new Map()
  const id = await newTask(database)
  await live(database, id, sagaOf(outside, new Faults(), { names, fails: 'two', forwardFrom: 'two' }, 3), new Faults())
  assert.equal((await getTask(database, id)).state, 'success')
  assert.deepEqual([...outside.keys()], names)
})

test('a fault of ours, such as a full disk, takes nothing back; one that stays does', async (context) => {
  const database = await openControlPlaneDatabase(':memory:')
  context.after(() => database.destroy())
  for (const [lasting, state] of [
    [3, 'success'],
    [100, 'error'],
  ] as const) {
    const outside: Outside = new Map()
    const id = await newTask(database)
    let count = 0
    const saga = sagaOf(outside, new Faults(), { names })
    const [one, two, three] = saga.steps
    assert.ok(one && two && three)
    const full: typeof two = {
      ...two,
      act: async (run) => {
        if (count++ < lasting) throw new Error('the disk is full')
        return two.act(run)
      },
    }
    const run = await carryOut(database, id, { ...saga, steps: [one, full, three] })
    assert.equal((await getTask(database, id)).state, state)
    assert.equal(outside.size, state === 'success' ? 3 : 0)
    assert.ok(run > 1)
  }
})

/** As whoever carries tasks out does: again and again, until it is over. Gives how often that took. */
async function carryOut(database: Kysely<Schema>, id: string, saga: SagaDefinition<Counting>): Promise<number> {
  const run = new TaskRun(workOf(database, new Faults()), id)
  for (let count = 1; ; count++) {
    try {
      await new StepSaga(workOf(database, new Faults()), saga, run).toEnd()
      return count
    } catch (error) {
      if (count > 20) throw error
    }
  }
}

for (const [what, options] of [
  ['that succeeds', { names }],
  ['that is taken back', { names, fails: 'three' }],
  ['that only goes forward at its end', { names, forwardFrom: 'two' }],
] as const) {
  test(`a saga ${what} is killed at every point, and ends as if it had not been`, async (context) => {
    for (let index = 0; ; index++) {
      const database = await openControlPlaneDatabase(':memory:')
      try {
        const id = await newTask(database)
        const outside: Outside = new Map()
        const faults = new Faults()
        let count = 0
        faults.onPoint(() => {
          if (count++ === index) faults.kill()
        })
        const copy = { ...options, names: [...options.names] }
        const died = await dies(database, id, outside, faults, copy)
        await live(database, id, sagaOf(outside, new Faults(), copy), new Faults())
        await context.test(`point ${index}`, async () => {
          const row = await getTask(database, id)
          const failed = 'fails' in options
          assert.equal(row.state, failed ? 'error' : 'success')
          assert.deepEqual([...outside.keys()], failed ? [] : names)
          assert.deepEqual(await textsOf(database), [failed ? 'failed: three fails' : 'done: one two three'])
        })
        if (!died) {
          assert.ok(index > 12, 'there were points to die at')
          return
        }
      } finally {
        await database.destroy()
      }
    }
  })
}

/** Carries the saga out until the process is killed; whether it was. */
async function dies(
  database: Kysely<Schema>,
  id: string,
  outside: Outside,
  faults: Faults,
  options: { names: string[]; fails?: string; forwardFrom?: string },
): Promise<boolean> {
  try {
    await live(database, id, sagaOf(outside, faults, options), faults)
    return false
  } catch (error) {
    if (error instanceof KilledError) return true
    throw error
  }
}
