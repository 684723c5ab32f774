import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import type { Approver } from '../../../approvals/approvals.ts'
import { ControlPlaneError } from '../../../control-plane-error.ts'
import { admin, userWithout, World } from '../../testing/world.ts'

/** Another person with all privileges. */
const eve: Approver = { ...admin, name: 'eve', bearer: { id: 'session of eve', kind: 'session' } }

/** A world with the encrypted VM `web`, whose KEK is key-3; key-1 and key-2 are the hosts' keys. */
async function encryptedWorld(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await World.start(...args)
  await world.plainVm()
  const task = await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  assert.equal(task.state, 'success', task.error?.message)
  return world
}

/** The same, rekeyed: key-3 is retired, key-4 is in use. */
async function rekeyedWorld(...args: Parameters<typeof World.start>): Promise<World> {
  const world = await encryptedWorld(...args)
  const task = await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.equal(task.state, 'success', task.error?.message)
  return world
}

const refusal = (code: ControlPlaneError['code'], text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof ControlPlaneError, String(error))
  assert.equal(error.code, code, error.message)
  assert.match(error.message, text)
  return true
}

test('a key in use is not destroyed; the refusal names every user, and nothing changed', async (context) => {
  const world = await encryptedWorld(context)
  const { orders, approvals } = world.work.keyLives
  await world.ended(await world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }))
  for (const ask of [
    () => orders.destroy('vault', 'key-3', {}, admin),
    () => orders.revoke('vault', 'key-3', {}, admin),
  ]) {
    await assert.rejects(
      ask,
      refusal('in-use', /VM copy \(VM Home, disk 0, disk 1\).*VM web \(VM Home, disk 0, disk 1\)/),
    )
  }
  await assert.rejects(orders.destroy('vault', 'key-1', {}, admin), refusal('in-use', /host host-a \(host key\)/))
  assert.deepEqual(await orders.list(false), [])
  assert.deepEqual(await approvals.list(false, admin), [])
  assert.deepEqual(world.kms.idsIn('Active').length, 3)
})

test('a retired key is destroyed when its time has come, and can be taken back until then', async (context) => {
  const world = await rekeyedWorld(context)
  const { orders, retired } = world.work.keyLives
  assert.deepEqual(
    (await retired.list({})).map(({ keyId, retiredDays, destroyAt }) => [keyId, retiredDays, destroyAt]),
    [['key-3', 0, null]],
  )
  const { order } = await orders.destroy('vault', 'key-3', { reason: 'no backups of it' }, admin)
  assert.equal(order?.state, 'scheduled')
  assert.equal(Date.parse(order.dueAt) - Date.parse(order.createdAt), 7 * 86_400_000)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active', 'it can be taken back as it was')
  await assert.rejects(orders.destroy('vault', 'key-3', {}, admin), refusal('already-exists', /keys restore/))
  assert.equal((await world.work.showKey(admin, 'vault', 'key-3')).destroyAt, order.dueAt)
  assert.equal((await orders.restore('vault', 'key-3', eve)).state, 'restored')
  await assert.rejects(orders.restore('vault', 'key-3', eve), refusal('not-found', /nothing is ordered/))
  assert.match((await world.eventsOf('kms.crypto.key-restored'))[0]?.text ?? '', /eve took that back/)

  const done = await orders.destroy('vault', 'key-3', { afterSeconds: 0 }, admin)
  assert.equal(done.order?.state, 'done')
  assert.equal(world.kms.keys.get('key-3')?.state, 'Destroyed')
  assert.equal((await world.work.showKey(admin, 'vault', 'key-3')).record?.state, 'destroyed')
  assert.match((await world.eventsOf('kms.crypto.key-destroyed'))[0]?.text ?? '', /the provider says: Destroyed/)
})

test('what was ordered is done after a restart, and again when the key server was away', async (context) => {
  const world = await rekeyedWorld(context)
  world.kms.down = true
  const { order } = await world.work.keyLives.orders.destroy('vault', 'key-3', { afterSeconds: 0 }, admin)
  assert.equal(order?.state, 'at-work')
  assert.match(order.problem ?? '', /vault is down/)
  await world.reboot()
  await world.until(async () => (await world.work.keyLives.orders.list(true))[0]?.problem !== null)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  world.kms.down = false
  await world.until(async () => (await world.work.keyLives.orders.list(true)).length === 0)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Destroyed')
  assert.ok((await world.eventsOf('kms.crypto.key-order-failed')).length <= 2, 'an outage is told once by each process')
})

test('a key that came into use again is not destroyed when its time has come', async (context) => {
  const world = await rekeyedWorld(context)
  const { orders } = world.work.keyLives
  await orders.destroy('vault', 'key-3', { afterSeconds: 3600 }, admin)
  // As a VM that is registered from an old backup would.
  const { database } = world.process
  const disk = await database.selectFrom('disk').selectAll().executeTakeFirstOrThrow()
  const encryption = disk.encryption?.replaceAll('key-4', 'key-3') ?? null
  await database.updateTable('disk').set({ encryption }).where('id', '=', disk.id).execute()
  await database.updateTable('key_order').set({ due_at: 1 }).execute()
  orders.wake()
  await world.until(async () => (await orders.list(true)).length === 0)
  const [order] = await orders.list(false)
  assert.equal(order?.state, 'refused')
  assert.match(order.problem ?? '', /used by VM web \(disk \d\)/)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  assert.equal((await world.eventsOf('kms.crypto.key-order-refused')).length, 1)
})

test('nothing new is wrapped with a key that is going to be destroyed; decrypting is not kept from it', async (context) => {
  const world = await encryptedWorld(context)
  const { orders, approvals } = world.work.keyLives
  const asked = await orders.destroy('vault', 'key-3', { force: true, afterSeconds: 3600 }, admin)
  assert.ok(asked.approval)
  await approvals.approve(asked.approval.id, { digest: asked.approval.digest }, eve)
  for (const use of [
    () => world.work.disks.add(admin, 'web', { sizeBytes: 512 }),
    () => world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }),
  ]) {
    await assert.rejects(use, refusal('in-use', /key-3 of provider vault is going to be destroyed.*keys restore/))
  }
  const task = await world.ended(await world.work.changePolicy(admin, 'web', { policy: 'Datastore Default' }))
  assert.equal(task.state, 'success', task.error?.message)
})

test('a forced destruction needs a second person, who is shown what dies, and is used once', async (context) => {
  const world = await encryptedWorld(context)
  const { orders, approvals } = world.work.keyLives
  const { order, approval } = await orders.destroy(
    'vault',
    'key-3',
    { force: true, afterSeconds: 0, reason: 'stolen' },
    admin,
  )
  assert.equal(order, null)
  assert.ok(approval)
  assert.deepEqual(
    approval.impact.users.map(({ kind, name, owner }) => `${kind} ${name} of ${owner.name}`),
    ['vm-home VM Home of web', 'disk disk 0 of web', 'disk disk 1 of web'],
  )
  const { id, digest } = approval
  for (const [by, code] of [
    [admin, 'no-privilege'],
    [{ ...admin, name: 'ADA' }, 'no-privilege'],
    [{ ...userWithout('Cryptographer.ManageKeys'), name: 'eve' }, 'no-privilege'],
  ] as const) {
    await assert.rejects(approvals.approve(id, { digest }, { ...by, bearer: eve.bearer }), refusal(code, /./))
  }
  const token: Approver = { ...eve, bearer: { id: 'token of eve', kind: 'api-token' } }
  await assert.rejects(approvals.approve(id, { digest }, token), refusal('invalid', /API token cannot approve/))
  const { database } = world.process
  await database
    .insertInto('account_act')
    .values({ user_name: 'eve', by_user: 'ada', act: 'password', at: Date.parse(approval.createdAt) + 1 })
    .execute()
  await assert.rejects(approvals.approve(id, { digest }, eve), refusal('no-privilege', /ada set the password of eve/))
  await database.deleteFrom('account_act').execute()
  await assert.rejects(
    approvals.approve(id, { digest: '0'.repeat(64) }, eve),
    refusal('approval-outdated', /look again/),
  )
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  const approved = await approvals.approve(id, { digest, comment: 'seen' }, eve)
  assert.deepEqual([approved.state, approved.decidedBy], ['approved', 'eve'])
  assert.equal(world.kms.keys.get('key-3')?.state, 'Destroyed')
  await assert.rejects(approvals.approve(id, { digest }, eve), refusal('approval-outdated', /was approved/))
  const [event] = await world.eventsOf('kms.crypto.key-destroyed-in-use')
  assert.match(event?.text ?? '', /by ada, approved by eve: «stolen»/)
})

test('when more would die than was shown, the second person is asked again', async (context) => {
  const world = await encryptedWorld(context)
  const { orders, approvals } = world.work.keyLives
  const { approval } = await orders.destroy('vault', 'key-3', { force: true, afterSeconds: 0 }, admin)
  assert.ok(approval)
  await world.ended(await world.work.cloneVm(admin, 'web', { name: 'copy', keys: 'same' }))
  const { id } = approval
  await assert.rejects(
    approvals.approve(id, { digest: approval.digest }, eve),
    refusal('approval-outdated', /look again/),
  )
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
  const now = await approvals.show(id, admin)
  assert.match(now.impact.warnings.join(), /not known when it was asked for.*VM copy/)
  await approvals.approve(id, { digest: now.digest }, eve)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Destroyed')
})

test('what was approved is not done when more would die by then', async (context) => {
  const world = await encryptedWorld(context)
  const { orders, approvals } = world.work.keyLives
  const { approval } = await orders.destroy('vault', 'key-3', { force: true, afterSeconds: 3600 }, admin)
  assert.ok(approval)
  await approvals.approve(approval.id, { digest: approval.digest }, eve)
  const { database } = world.process
  await database.updateTable('host').set({ host_key_id: 'key-3' }).where('id', '=', 'host-b').execute()
  await database.updateTable('key_order').set({ due_at: 1 }).execute()
  orders.wake()
  await world.until(async () => (await orders.list(true)).length === 0)
  assert.match((await orders.list(false))[0]?.problem ?? '', /host host-b/)
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
})

test('a request is rejected by others, withdrawn by who made it, and expires', async (context) => {
  const world = await encryptedWorld(context)
  const { orders, approvals } = world.work.keyLives
  const ask = async () => {
    const { approval } = await orders.revoke('vault', 'key-3', { force: true }, admin)
    assert.ok(approval)
    return approval
  }
  const first = await ask()
  await assert.rejects(approvals.withdraw(first.id, undefined, eve), refusal('no-privilege', /reject/))
  assert.equal((await approvals.reject(first.id, 'no', eve)).state, 'rejected')
  const second = await ask()
  assert.equal((await approvals.withdraw(second.id, undefined, admin)).state, 'withdrawn')
  const third = await ask()
  await world.process.database.updateTable('approval').set({ expires_at: 1 }).where('id', '=', third.id).execute()
  assert.equal((await approvals.show(third.id, admin)).state, 'expired')
  for (const { id, digest } of [first, second, third]) {
    await assert.rejects(approvals.approve(id, { digest }, eve), refusal('approval-outdated', /over/))
  }
  assert.deepEqual(await approvals.list(true, admin), [])
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
})

test('retired keys are destroyed in bulk by their age, and no others', async (context) => {
  const world = await rekeyedWorld(context)
  await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  const { retired, orders } = world.work.keyLives
  const dayMs = 86_400_000
  await world.process.database
    .updateTable('key')
    .set({ retired_at: Date.now() - 40 * dayMs })
    .where('key_id', '=', 'key-3')
    .execute()
  assert.deepEqual((await retired.destroy({ olderThanDays: 41 }, admin)).orders, [])
  const { orders: made, skipped } = await retired.destroy({ olderThanDays: 30, afterSeconds: 0 }, admin)
  assert.deepEqual([made.map(({ keyId }) => keyId), skipped], [['key-3'], []])
  await world.until(async () => (await orders.list(true)).length === 0)
  assert.deepEqual([world.kms.keys.get('key-3')?.state, world.kms.keys.get('key-4')?.state], ['Destroyed', 'Active'])
})

test('what somebody asked for who may not do it any more is not done, whoever approves it', async (context) => {
  const world = await encryptedWorld(context)
  const { orders, approvals } = world.work.keyLives
  const { approval } = await orders.destroy('vault', 'key-3', { force: true, afterSeconds: 0 }, admin)
  assert.ok(approval)
  world.process.removedUsers.add('ada')
  await assert.rejects(
    approvals.approve(approval.id, { digest: approval.digest }, eve),
    refusal('approval-outdated', /ada, who asked for this, may not/),
  )
  assert.equal(world.kms.keys.get('key-3')?.state, 'Active')
})

test('a key whose end is ordered becomes no wrapping key; one that was destroyed is followed by another one', async (context) => {
  const world = await rekeyedWorld(context)
  const { orders, approvals } = world.work.keyLives
  await orders.destroy('vault', 'key-3', { afterSeconds: 3600 }, admin)
  await assert.rejects(
    world.work.setKeyType(admin, 'vault', { keyType: 'wrapped', wrappingKey: 'key-3' }),
    refusal('in-use', /key-3 of provider vault is going to be destroyed/),
  )
  await world.work.setKeyType(admin, 'vault', { keyType: 'wrapped' })
  const first = await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.equal(first.state, 'success', first.error?.message)
  const { database } = world.process
  const keyId = async () =>
    (await database.selectFrom('wrapping_key').select('key_id').executeTakeFirst())?.key_id ?? ''
  const before = await keyId()
  const { approval } = await orders.destroy('vault', before, { force: true, afterSeconds: 0 }, admin)
  assert.ok(approval)
  await approvals.approve(approval.id, { digest: approval.digest }, eve)
  assert.equal(world.kms.keys.get(before)?.state, 'Destroyed')
  await world.plainVm('later')
  const second = await world.ended(await world.work.changePolicy(admin, 'later', { policy: encryptionPolicy }))
  assert.equal(second.state, 'success', second.error?.message)
  assert.notEqual(await keyId(), before)
})

test('a key that is not on record, without a label, may be anybody’s: a second person says whether it goes', async (context) => {
  const world = await rekeyedWorld(context)
  const { orders, approvals, orphans } = world.work.keyLives
  const lost = await world.kms.provider(world.process.faults).createKey()
  assert.deepEqual(
    (await orphans.find('vault', admin)).orphans.map(({ keyId, kind, disposable }) => [keyId, kind, disposable]),
    [[lost, 'unanswered', false]],
  )
  await assert.rejects(
    orders.destroy('vault', lost, { afterSeconds: 0 }, admin),
    refusal('in-use', /on record nowhere.*anybody’s who uses the same key server.*--force a second user/),
  )
  await assert.rejects(orders.revoke('vault', lost, {}, admin), refusal('in-use', /on record nowhere/))
  const { order, approval } = await orders.destroy('vault', lost, { afterSeconds: 0, force: true }, admin)
  assert.equal(order, null)
  assert.match(approval?.impact.warnings.join() ?? '', /on record nowhere/)
  assert.equal(world.kms.keys.get(lost)?.state, 'PreActive')
  await approvals.approve(approval?.id ?? '', { digest: approval?.digest ?? '' }, eve)
  assert.equal(world.kms.keys.get(lost)?.state, 'Destroyed')
  // One that is on record is ours, whatever its labels say.
  assert.equal((await orders.destroy('vault', 'key-3', { afterSeconds: 0 }, admin)).order?.state, 'done')
})
