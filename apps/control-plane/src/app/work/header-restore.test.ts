import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { assertWhole } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

const never = new AbortController().signal
const contentBytes = 4096

const content = () => Readable.from([Buffer.alloc(contentBytes)])

/** A lab with an encrypted VM; `diskId` is that of its disk 0. */
async function start(context: TestContext) {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  const [disk] = await world.work.disks.list('web')
  return { world, diskId: disk?.id ?? '' }
}

test('a backup of a header is on record before it goes out, and takes no key', async (context) => {
  const { world } = await start(context)
  world.hostA.keys.clear()
  world.kms.down = true
  const { content: backup, sizeBytes } = await world.work.disks.backupHeader(admin, 'web', 0, never)
  const [told] = await world.eventsOf('vm.header-backed-up')
  assert.match(told?.text ?? '', /ada reads out the header of disk 0 of VM web, for a backup: 4096 bytes/)
  assert.equal((await buffer(backup)).length, sizeBytes)
  world.hostA.onExport = () => new Readable({ read: () => undefined })
  const left = await world.work.disks.backupHeader(admin, 'web', 0, never)
  left.content.destroy()
  await world.until(async () => (await world.eventsOf('vm.header-backup-failed')).length === 1)
})

test('the header of a locked VM is restored, and the VM unlocks by that', async (context) => {
  const { world, diskId } = await start(context)
  world.hostA.damaged.add(diskId)
  assert.equal((await world.work.unlockVm(admin, 'web')).lock.state, 'locked')
  const refused = world.work.rekeyVm(admin, 'web', { depth: 'shallow' }).then((task) => world.ended(task))
  assert.equal((await refused).error?.code, 'vm-locked')
  const task = await world.work.disks.restoreHeader(admin, 'web', 0, { contentBytes })
  assert.equal(task.type, 'vm.restore-header')
  const ended = await world.work.disks.sendContent(task.id, content(), contentBytes, never)
  assert.equal(ended.state, 'success', ended.error?.message)
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
  const [told] = await world.eventsOf('vm.header-restored')
  assert.deepEqual([told?.vm, told?.keyId], ['web', 'key-3'])
  assert.equal((await world.eventsOf('vm.crypto.unlocked')).length, 1)
  await assertWhole(world)
})

test('with one header restored of two that are damaged the VM stays locked', async (context) => {
  const { world, diskId } = await start(context)
  const [, other] = await world.work.disks.list('web')
  for (const id of [diskId, other?.id ?? '']) world.hostA.damaged.add(id)
  assert.equal((await world.work.unlockVm(admin, 'web')).lock.state, 'locked')
  const task = await world.work.disks.restoreHeader(admin, 'web', 0, { contentBytes })
  assert.equal((await world.work.disks.sendContent(task.id, content(), contentBytes, never)).state, 'success')
  const { lock } = await world.work.showVm('web')
  assert.equal(lock.state, 'locked')
  assert.match(lock.text ?? '', /disk 1/)
})

test('a restore that failed, or whose host started anew, leaves a VM that can be restored again', async (context) => {
  const { world, diskId } = await start(context)
  world.hostA.failWith = { code: 'io', message: 'the disk is gone; the header may be there in part' }
  world.hostA.damaged.add(diskId)
  const failed = await world.ended(await world.work.disks.restoreHeader(admin, 'web', 0, { contentBytes }))
  assert.equal(failed.state, 'error')
  assert.equal((await world.work.showVm('web')).lock.state, 'locked', 'it is asked whether it opens')
  const [event] = await world.eventsOf('vm.crypto.failed')
  assert.match(event?.text ?? '', /restoring the header of disk 0 failed: .*in part/)
  world.hostA.failWith = null
  const lost = await world.work.disks.restoreHeader(admin, 'web', 0, { contentBytes })
  await world.until(async () => world.hostA.operations.size > 0)
  await world.disconnect(world.hostA)
  world.hostA.restart()
  await world.connect(world.hostA)
  assert.equal((await world.ended(lost)).state, 'error')
  const again = await world.work.disks.restoreHeader(admin, 'web', 0, { contentBytes })
  assert.equal((await world.work.disks.sendContent(again.id, content(), contentBytes, never)).state, 'success')
  assert.equal((await world.work.showVm('web')).lock.state, 'unlocked')
})

test('what has no header, or a VM that is busy, is refused before anything happens', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const restore = (number: number) => world.work.disks.restoreHeader(admin, 'web', number, { contentBytes })
  for (const ask of [restore, (number: number) => world.work.disks.backupHeader(admin, 'web', number, never)]) {
    await assert.rejects(ask(0), { code: 'invalid', field: 'number', message: /plain/ })
    await assert.rejects(ask(7), { code: 'not-found', field: 'number' })
  }
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  const task = await restore(0)
  await assert.rejects(world.work.disks.backupHeader(admin, 'web', 0, never), { code: 'vm-busy' })
  await assert.rejects(world.work.disks.sendContent(task.id, content(), 12, never), {
    code: 'invalid',
    message: /announced/,
  })
  await world.work.tasks.cancel(task.id)
  assert.equal((await world.ended(task)).state, 'cancelled')
  await world.disconnect(world.hostA)
  await assert.rejects(world.work.disks.backupHeader(admin, 'web', 0, never), { code: 'host-disconnected' })
})
