import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { EventType } from '@cryptvisor/control-plane-api'
import type { Point } from './testing/faults.ts'
import type { Flow } from './testing/flow.ts'
import { flows } from './testing/flows.ts'
import { assertWhole, isSettled } from './testing/invariants.ts'
import { World } from './testing/world.ts'

/** In a short run each flow is cut off at every so many points only, beginning with another one in each flow. */
const stride = process.env['CRYPTVISOR_TEST_LONG'] === '1' ? 1 : 3

/** Reading changes nothing: being killed before it is being killed after what was before it. */
const matters = ({ name }: Point) => name !== 'db SelectQueryNode' && !name.includes('GET /v1')

/** The flow, in a lab that is ready for it; the points from its beginning on. */
async function pointsOf(world: World, flow: Flow): Promise<Point[]> {
  const begin = world.process.faults.points.length
  const task = await flow.act(world)
  assert.equal((await world.ended(task)).state, 'success')
  await assertWhole(world)
  return world.process.faults.points.slice(begin)
}

for (const [number, flow] of flows.entries()) {
  test(`${flow.name}: the control plane is killed at every point`, async (context) => {
    const ready = await World.start(context)
    await flow.prepare(ready)
    await ready.stop()
    const points = await pointsOf(await ready.fork(context), flow)
    const chosen = [...points.keys()].filter((index) => {
      const point = points[index]
      return point !== undefined && matters(point) && index % stride === number % stride
    })
    assert.ok(chosen.length > 1)
    for (const index of chosen) {
      {
        const restarted = index % 2 === 1
        const world = await ready.fork(context)
        const { faults } = world.process
        const begin = faults.points.length
        let killedAt = ''
        faults.onPoint((point, at) => {
          if (at - begin !== index) return
          killedAt = `${point.when} ${point.name}`
          faults.kill()
        })
        const asked = await flow.act(world).catch(() => null)
        // Parallel calls may come in another order, so that there are fewer points than the first time.
        await world.until(async () => faults.dead || (asked !== null && (await isSettled(world))))
        await world.stop()
        if (restarted) for (const agent of world.agents) agent.restart()
        await world.boot()
        await world.until(() => isSettled(world))
        await context.test(`${killedAt}${restarted ? ', and the agents too' : ''}`, async () => {
          await assertWhole(world, 1)
          if (asked === null) return
          const { state, error } = await world.work.tasks.show(asked.id)
          assert.equal(state === 'success', await flow.happened(world), 'the task says what happened')
          if (!restarted) assert.equal(error, null, 'a restart of the control plane alone changes nothing')
          const count = async (type: EventType) =>
            (await world.events()).filter((event) => event.task === asked.id && event.type === type).length
          assert.equal(await count(flow.event), state === 'success' ? 1 : 0)
          if (flow.failureEvent !== null) assert.equal(await count(flow.failureEvent), state === 'success' ? 0 : 1)
        })
        await world.stop()
      }
    }
  })
}
