import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventType, Task } from '@cryptvisor/control-plane-api'
import { KeyProviderError } from '@cryptvisor/key-provider'
import { RestClientError } from '@cryptvisor/rest'
import type { Point } from './testing/faults.ts'
import type { Flow } from './testing/flow.ts'
import { flows } from './testing/flows.ts'
import { assertWhole, isSettled } from './testing/invariants.ts'
import { World } from './testing/world.ts'

const stride = process.env['CRYPTVISOR_TEST_LONG'] === '1' ? 1 : 3

/** What goes wrong from a point on. */
interface Trouble {
  readonly name: string
  readonly at: (point: Point) => boolean
  /** Begins it; may throw what the call fails with. */
  begin(world: World, point: Point): void
  /** Ends it, so that everything can come to its end. */
  end(world: World): Promise<void>
}

const isKms = ({ name }: Point) => name.startsWith('kms')
const isAgent = ({ name }: Point) => name.startsWith('host-')

const troubles: readonly Trouble[] = [
  {
    name: 'a call fails, or its answer is lost',
    at: (point) => isKms(point) || isAgent(point),
    begin: (_world, point) => {
      if (isKms(point)) throw new KeyProviderError('unreachable', { providerId: 'vault' }, 'no answer')
      throw new RestClientError('timeout', 'no answer in time')
    },
    end: async () => undefined,
  },
  {
    name: 'the key server is down from there on',
    at: (point) => isKms(point) && point.when === 'before',
    begin: (world) => {
      world.kms.down = true
    },
    end: async (world) => {
      world.kms.down = false
    },
  },
  {
    name: 'the database cannot be written',
    at: ({ name }) => name.startsWith('db') && name !== 'db SelectQueryNode',
    begin: () => {
      throw new Error('database or disk is full')
    },
    end: async () => undefined,
  },
  {
    name: 'the host’s agent is killed and starts again',
    at: (point) => point.name.startsWith('host-a'),
    begin: (world) => {
      world.hostA.running = false
      throw new RestClientError('unreachable', 'host-a cannot be reached')
    },
    end: async (world) => {
      await world.disconnect(world.hostA)
      world.hostA.restart()
      await world.connect(world.hostA)
    },
  },
]

for (const [flowNumber, flow] of flows.entries()) {
  for (const [troubleNumber, trouble] of troubles.entries()) {
    test(`${flow.name}: ${trouble.name}`, async (context) => {
      const ready = await World.start(context)
      await flow.prepare(ready)
      await ready.stop()
      const points = await pointsOf(await ready.fork(context), flow)
      const chosen = [...points.keys()].filter((index) => {
        const point = points[index]
        return point !== undefined && trouble.at(point)
      })
      for (const [turn, index] of chosen.entries()) {
        if (turn % stride !== (flowNumber + troubleNumber) % stride) continue
        const world = await ready.fork(context)
        const at = await withTrouble(world, flow, trouble, index)
        if (at !== null) await context.test(at.name, () => assertTold(world, flow, at.task))
        await world.stop()
      }
    })
  }
}

async function pointsOf(world: World, flow: Flow): Promise<Point[]> {
  const begin = world.process.faults.points.length
  await world.ended(await flow.act(world))
  return world.process.faults.points.slice(begin)
}

/** Runs the flow with the trouble at its point `index`; `null` when it did not come that far. */
async function withTrouble(
  world: World,
  flow: Flow,
  trouble: Trouble,
  index: number,
): Promise<{ name: string; task: Task } | null> {
  const { faults } = world.process
  const begin = faults.points.length
  const began = Promise.withResolvers<string>()
  faults.onPoint((point, at) => {
    if (at - begin !== index || !trouble.at(point)) return
    began.resolve(`${point.when} ${point.name}`)
    trouble.begin(world, point)
  })
  const task = await flow.act(world).catch(() => null)
  // The request itself was refused, and nothing began.
  if (task === null) {
    await assertWhole(world)
    return null
  }
  const name = await Promise.race([began.promise, world.ended(task).then(() => null)])
  await trouble.end(world)
  await world.until(() => isSettled(world))
  return name === null ? null : { name, task }
}

async function assertTold(world: World, flow: Flow, task: Task): Promise<void> {
  // A trouble may last as long as two keys are asked for: a host's and the VM's.
  await assertWhole(world, 2)
  const { state, error } = await world.work.tasks.show(task.id)
  assert.equal(state === 'success', await flow.happened(world), 'the task says what happened')
  assert.equal(state === 'error', error !== null)
  const count = async (type: EventType) =>
    (await world.events()).filter((event) => event.task === task.id && event.type === type).length
  assert.equal(await count(flow.event), state === 'success' ? 1 : 0)
  if (flow.failureEvent !== null) assert.equal(await count(flow.failureEvent), state === 'success' ? 0 : 1)
  const isOfHost = task.target.kind === 'host'
  const named = isOfHost ? [task.target.name, null] : [flow.host ?? 'host-a', task.target.name]
  // DESIGN.md, section 4: each failure has an event of its own, which names what it can.
  if (error?.code === 'kms-unreachable') {
    const [told] = (await world.eventsOf('kms.crypto.connection-error')).filter((event) => event.task === task.id)
    assert.equal(told?.provider, 'vault')
    assert.deepEqual([told.host, told.vm], named)
    assert.match(error.message, /tried vault\.invalid:5696, vault-2\.invalid:5696/)
  }
  if (error?.code === 'send-key-failed' || (error?.code === 'host-disconnected' && !isOfHost)) {
    const [told] = (await world.eventsOf('host.crypto.send-key-error')).filter((event) => event.task === task.id)
    assert.deepEqual([told?.host, told?.vm], named)
  }
}
