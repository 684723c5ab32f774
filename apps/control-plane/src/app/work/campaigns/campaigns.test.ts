import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CampaignPlan, type CampaignReport, encryptionPolicy } from '@cryptvisor/control-plane-api'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { assertWhole, isSettled } from '../testing/invariants.ts'
import { admin, World } from '../testing/world.ts'

/** A world with encrypted VMs, each with a KEK of its own. */
async function worldWith(context: Parameters<typeof World.start>[0], names: readonly string[]): Promise<World> {
  const world = await World.start(context)
  for (const name of names) {
    await world.plainVm(name)
    const task = await world.ended(await world.work.changePolicy(admin, name, { policy: encryptionPolicy }))
    assert.equal(task.state, 'success', task.error?.message)
  }
  return world
}

const shallow: CampaignPlan = { selection: {}, depth: 'shallow' }
const deep: CampaignPlan = { selection: {}, depth: 'deep' }

async function reportOf(world: World, name = 'yearly'): Promise<CampaignReport | null> {
  return world.work.campaigns.report(name, admin).catch((error: unknown) => {
    if (error instanceof ControlPlaneError && error.code === 'not-found') return null
    throw error
  })
}

async function ended(world: World, name = 'yearly'): Promise<CampaignReport> {
  let report: CampaignReport | null = null
  await world.until(async () => {
    report = await reportOf(world, name)
    return report !== null && report.run.state !== 'running' && report.run.counts.running === 0
  })
  assert.ok(report !== null)
  return report
}

const statesOf = ({ items }: CampaignReport) => items.map(({ vm, state, text }) => [vm, state, text])

test('every VM that is meant gets a new key, once, and the report says which', async (context) => {
  const world = await worldWith(context, ['a', 'b', 'c'])
  await world.plainVm('plain')
  const made = await world.work.campaigns.create({ name: 'yearly', plan: shallow }, admin)
  assert.equal(made.lastRun, null)
  const report = await ended(world)
  assert.deepEqual(statesOf(report), [
    ['a', 'done', ''],
    ['b', 'done', ''],
    ['c', 'done', ''],
  ])
  for (const { vm, oldKeys, newKey } of report.items) {
    assert.deepEqual((await world.work.showVm(vm)).home.key, newKey)
    assert.notDeepEqual(oldKeys[0], newKey)
  }
  assert.equal(report.run.state, 'done')
  await world.until(() => isSettled(world))
  await assertWhole(world)
  assert.equal((await world.eventsOf('vm.crypto.rekeyed')).length, 3)
  assert.match((await world.eventsOf('campaign.ended'))[0]?.text ?? '', /3 VMs rekeyed, 0 failed, 0 left out/)
  await assert.rejects(world.work.campaigns.create({ name: 'yearly', plan: shallow }, admin), /already/)
})

test('a VM that runs is left out where its rekey needs it off, with the reason, and the preview says so', async (context) => {
  const world = await worldWith(context, ['a', 'b'])
  await world.powerOn('a')
  const { vms } = await world.work.campaigns.preview({ plan: deep }, admin)
  assert.match(vms[0]?.problem ?? '', /^VM a is running on host host-a: it is left out unless it is powered off$/)
  assert.equal(vms[1]?.problem, null)
  await world.work.campaigns.create({ name: 'yearly', plan: deep }, admin)
  const states = statesOf(await ended(world))
  assert.deepEqual(
    states.map(([vm, state]) => [vm, state]),
    [
      ['a', 'skipped'],
      ['b', 'done'],
    ],
  )
  assert.match(states[0]?.[2] ?? '', /Power it off first to rekey it deeply: «vm shut-down a»/)
})

test('VMs are chosen by name, provider, age, policy and cluster', async (context) => {
  const world = await worldWith(context, ['a', 'b'])
  const { campaigns } = world.work
  const chosen = async (selection: CampaignPlan['selection']) =>
    (await campaigns.preview({ plan: { ...shallow, selection } }, admin)).vms.map(({ vm }) => vm)
  assert.deepEqual(await chosen({}), ['a', 'b'])
  assert.deepEqual(await chosen({ vms: ['b'] }), ['b'])
  assert.deepEqual(await chosen({ keyProvider: 'vault' }), ['a', 'b'])
  assert.deepEqual(await chosen({ policy: encryptionPolicy, olderThanDays: 0 }), ['a', 'b'])
  assert.deepEqual(await chosen({ olderThanDays: 1 }), [])
  assert.deepEqual(await chosen({ exposed: true }), [])
  const { database } = world.process
  await database
    .updateTable('key')
    .set({ created_at: Date.now() - 40 * 86_400_000 })
    .where('owner_name', '=', 'a')
    .execute()
  assert.deepEqual(await chosen({ olderThanDays: 40 }), ['a'])
  assert.deepEqual(await chosen({ rotationDue: true }), [])
  await database.updateTable('policy').set({ rotation_days: 30 }).where('name', '=', encryptionPolicy).execute()
  assert.deepEqual(await chosen({ rotationDue: true }), ['a'])
  for (const [field, selection] of [
    ['selection.vms', { vms: ['nobody'] }],
    ['selection.cluster', { cluster: 'nowhere' }],
    ['selection.policy', { policy: 'none' }],
    ['selection.keyProvider', { keyProvider: 'none' }],
  ] as const) {
    await assert.rejects(
      chosen(selection as CampaignPlan['selection']), // Lists are not changed.
      (error) => error instanceof ControlPlaneError && error.field === field,
    )
  }
})

test('while the key server is away the campaign waits, and burns through no VM', async (context) => {
  const world = await worldWith(context, ['a', 'b', 'c'])
  world.kms.down = true
  await world.work.campaigns.create({ name: 'yearly', plan: { ...shallow, triesMax: 1 } }, admin)
  await world.until(async () => ((await reportOf(world))?.run.waitsFor ?? '').includes('key provider'))
  const waiting = await reportOf(world)
  assert.equal(waiting?.run.counts.failed, 0)
  assert.equal((await world.eventsOf('campaign.waiting')).length, 1)
  world.kms.down = false
  const report = await ended(world)
  assert.equal(report.run.counts.done, 3)
  assert.deepEqual(
    report.items.map(({ tries }) => tries),
    [1, 1, 1],
  )
})

test('no more at once than the limits say, at any moment', async (context) => {
  const names = Array.from({ length: 12 }, (_, index) => `vm-${String(index).padStart(2, '0')}`)
  const world = await worldWith(context, names)
  const { database } = world.process
  await world.work.campaigns.create({ name: 'yearly', plan: { ...shallow, atOnceMax: 3, perHostMax: 2 } }, admin)
  let rowsMost = 0
  await world.until(async () => {
    const rows = await database
      .selectFrom('campaign_item')
      .innerJoin('vm', 'vm.id', 'campaign_item.vm_id')
      .select(['vm.host_id'])
      .where('state', '=', 'running')
      .execute()
    rowsMost = Math.max(rowsMost, rows.length)
    assert.ok(rows.length <= 2, 'all are on one host, which takes two')
    return (await reportOf(world))?.run.state === 'done'
  })
  assert.ok(rowsMost > 0)
})

test('paused, nothing more begins; cancelled, the rest is left out; another run takes it up', async (context) => {
  const world = await worldWith(context, ['a', 'b', 'c'])
  const { campaigns } = world.work
  const later = { ...shallow, startAt: '2999-01-01T00:00:00Z' }
  await campaigns.create({ name: 'yearly', plan: { ...later, atOnceMax: 1 } }, admin)
  await campaigns.pause('yearly', admin)
  await campaigns.startRun('yearly', admin)
  await assert.rejects(campaigns.startRun('yearly', admin), /under way/)
  await world.until(async () => (await reportOf(world))?.run.waitsFor === 'somebody to resume it')
  await assert.rejects(campaigns.remove('yearly', admin), /under way/)
  const cancelled = await campaigns.cancel('yearly', {}, admin)
  assert.equal(cancelled.lastRun?.state, 'cancelled')
  assert.equal(cancelled.lastRun.counts.skipped, 3)
  await campaigns.resume('yearly', admin)
  await campaigns.startRun('yearly', admin)
  assert.equal((await ended(world)).run.counts.done, 3)
  assert.equal((await campaigns.report('yearly', admin, 1)).run.state, 'cancelled')
  await campaigns.remove('yearly', admin)
  await assert.rejects(campaigns.show('yearly'), /no campaign/)
})

test('a VM that is gone, plain, or was rekeyed by somebody else is left out; a busy one is waited for', async (context) => {
  const world = await worldWith(context, ['a', 'b', 'c', 'd'])
  const { campaigns } = world.work
  await campaigns.create({ name: 'yearly', plan: { ...shallow, startAt: '2999-01-01T00:00:00Z' } }, admin)
  await campaigns.pause('yearly', admin)
  await campaigns.startRun('yearly', admin)
  await world.ended(await world.work.deleteVm(admin, 'a'))
  await world.ended(await world.work.changePolicy(admin, 'b', { policy: 'Datastore Default' }))
  await world.ended(await world.work.rekeyVm(admin, 'c', { depth: 'shallow' }))
  const other = await world.work.rekeyVm(admin, 'd', { depth: 'shallow', disks: [0] })
  await campaigns.resume('yearly', admin)
  const report = await ended(world)
  assert.equal((await world.ended(other)).state, 'success')
  assert.deepEqual(statesOf(report), [
    ['a', 'skipped', 'the VM is gone'],
    ['b', 'skipped', 'it is plain now'],
    ['c', 'skipped', 'somebody else rekeyed it meanwhile'],
    ['d', 'done', ''],
  ])
})

test('a run stops when too many VMs fail, and says so', async (context) => {
  const world = await worldWith(context, ['a', 'b', 'c', 'd'])
  world.hostA.failWith = { code: 'no-space', message: 'the datastore is full' }
  const plan = { ...shallow, atOnceMax: 1, failuresMax: 1, triesMax: 1 }
  await world.work.campaigns.create({ name: 'yearly', plan }, admin)
  const report = await ended(world)
  assert.equal(report.run.state, 'stopped')
  assert.equal(report.run.counts.failed, 2)
  assert.equal(report.run.counts.skipped, 2)
  assert.equal((await world.eventsOf('campaign.failed')).length, 1)
})

test('a campaign that comes again and again runs by its schedule, and no run begins within another', async (context) => {
  const world = await worldWith(context, ['a'])
  const { campaigns } = world.work
  const made = await campaigns.create({ name: 'yearly', plan: { ...shallow, cron: '0 3 1 1 *' } }, admin)
  assert.match(made.nextRunAt ?? '', /-01-01T03:00:00/)
  const { database } = world.process
  await database
    .updateTable('campaign')
    .set({ next_run_at: Date.now() - 1 })
    .execute()
  const report = await ended(world)
  assert.equal(report.run.number, 1)
  assert.match((await campaigns.show('yearly')).nextRunAt ?? '', /-01-01T03:00:00/)
})

test('the control plane is killed at every point of a campaign: each VM is rekeyed once', async (context) => {
  const ready = await worldWith(context, ['a', 'b'])
  await ready.stop()
  const first = await ready.fork(context)
  const begin = first.process.faults.points.length
  await first.work.campaigns.create({ name: 'yearly', plan: { ...shallow, atOnceMax: 1 } }, admin)
  await ended(first)
  const matters = ({ name }: { name: string }) => name !== 'db SelectQueryNode' && !name.includes('GET /v1')
  const points = first.process.faults.points.slice(begin)
  const stride = process.env['CRYPTVISOR_TEST_LONG'] === '1' ? 1 : 5
  const chosen = [...points.keys()].filter((index) => {
    const point = points[index]
    return point !== undefined && matters(point) && index % stride === 0
  })
  await first.stop()
  assert.ok(chosen.length > 3)
  for (const index of chosen) {
    const world = await ready.fork(context)
    const { faults } = world.process
    const from = faults.points.length
    faults.onPoint((_point, at) => {
      if (at - from === index) faults.kill()
    })
    const asked = await world.work.campaigns
      .create({ name: 'yearly', plan: { ...shallow, atOnceMax: 1 } }, admin)
      .catch(() => null)
    await world.until(async () => {
      if (faults.dead || asked === null) return faults.dead
      // Whoever looks on may be the one that is killed.
      const report = await reportOf(world).catch(() => null)
      return report?.run.state === 'done'
    })
    await world.reboot()
    await context.test(`killed at ${points[index]?.when} ${points[index]?.name} (${index})`, async () => {
      if ((await world.work.campaigns.list()).length === 0) return
      const report = await ended(world)
      await world.until(() => isSettled(world))
      assert.equal(report.run.counts.done, 2)
      assert.equal((await world.eventsOf('vm.crypto.rekeyed')).length, 2, 'none was rekeyed twice')
      await assertWhole(world, 1)
    })
    await world.stop()
  }
})
