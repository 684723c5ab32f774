import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { RestClientError } from '@cryptvisor/rest'
import { assertWhole } from './testing/invariants.ts'
import { admin, World } from './testing/world.ts'

const never = new AbortController().signal
const sizeBytes = 65_536

async function importing(world: World) {
  await world.plainVm()
  return world.work.disks.importImage(admin, 'web', { format: 'raw', contentBytes: sizeBytes })
}

function* chunks(sizeBytes: number) {
  for (let sentBytes = 0; sentBytes < sizeBytes; sentBytes += 1024) yield Buffer.alloc(1024, 7)
}

test('an image streams through to the host, even when it comes before the host is ready for it', async (context) => {
  const world = await World.start(context)
  const task = await importing(world)
  const ended = await world.work.disks.sendContent(task.id, Readable.from(chunks(sizeBytes)), sizeBytes, never)
  assert.equal(ended.state, 'success')
  const disk = (await world.work.disks.list('web')).at(-1)
  assert.equal(disk?.number, 2)
  assert.equal(disk.sizeBytes, sizeBytes)
  assert.equal(disk.encrypted, false)
  assert.equal((await world.eventsOf('vm.disk-added')).length, 1)
  await assertWhole(world)
})

test('no more is read from the sender than the host takes', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const contentBytes = 64 * 1024 * 1024
  const task = await world.work.disks.importImage(admin, 'web', { format: 'raw', contentBytes })
  let readBytes = 0
  const gate = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  world.hostA.onChunk = async () => {
    taken.resolve()
    await gate.promise
  }
  const content = Readable.from(
    (function* () {
      for (; readBytes < contentBytes; readBytes += 65_536) yield Buffer.alloc(65_536)
    })(),
    { objectMode: false, highWaterMark: 65_536 },
  )
  const sent = world.work.disks.sendContent(task.id, content, contentBytes, never)
  await taken.promise
  for (let turn = 0; turn < 20; turn++) await world.pause()
  assert.ok(readBytes < 1_048_576, `${readBytes} bytes were read while the host took one chunk`)
  gate.resolve()
  assert.equal((await sent).state, 'success')
})

test('an import that takes longer than an answer may is no failure: all of it is there', async (context) => {
  const world = await World.start(context)
  const task = await importing(world)
  world.process.faults.onPoint(({ name, when }) => {
    if (!/PUT .*content$/.test(name) || when === 'before') return
    const operation = [...world.hostA.operations.values()].at(-1)
    assert.ok(operation)
    // The host is at work still, such as at reading back.
    operation.status = { ...operation.status, state: 'running' }
    operation.looksLeft = 20
    throw new RestClientError('timeout', 'host-a did not answer in time')
  })
  const ended = await world.work.disks.sendContent(task.id, Readable.from(chunks(sizeBytes)), sizeBytes, never)
  assert.equal(ended.state, 'success')
  await assertWhole(world)
})

test('an import that is paused longer than its content may be silent goes on when it is resumed', async (context) => {
  const world = await World.start(context, { contentWaitMs: 100 })
  await world.plainVm()
  const contentBytes = 4 * 1024 * 1024
  const task = await world.work.disks.importImage(admin, 'web', { format: 'raw', contentBytes })
  const gate = Promise.withResolvers<void>()
  const taken = Promise.withResolvers<void>()
  world.hostA.onChunk = async () => {
    taken.resolve()
    await gate.promise
  }
  const sent = world.work.disks.sendContent(task.id, Readable.from(chunks(contentBytes)), contentBytes, never)
  await taken.promise
  await world.work.tasks.pause(task.id)
  const until = Date.now() + 300
  await world.until(() => Date.now() > until)
  gate.resolve()
  await world.work.tasks.resume(task.id).catch(() => undefined)
  assert.equal((await sent).state, 'success')
  await assertWhole(world)
})

test('content that breaks off fails the import and leaves nothing', async (context) => {
  const world = await World.start(context)
  const task = await importing(world)
  const content = Readable.from(
    (function* () {
      yield Buffer.alloc(1024)
      throw new Error('the sender is gone')
    })(),
  )
  await assert.rejects(world.work.disks.sendContent(task.id, content, sizeBytes, never), { code: 'invalid' })
  assert.equal((await world.work.tasks.show(task.id)).state, 'error')
  assert.equal((await world.work.disks.list('web')).length, 2)
  await assertWhole(world)
})

test('content that stops coming fails the import', async (context) => {
  const world = await World.start(context, { contentWaitMs: 30 })
  const task = await importing(world)
  const content = new Readable({ read: () => undefined })
  content.push(Buffer.alloc(1024))
  await assert.rejects(world.work.disks.sendContent(task.id, content, sizeBytes, never), {
    code: 'invalid',
    message: /nothing came/,
  })
  await assertWhole(world)
})

test('content that never comes fails the import', async (context) => {
  const world = await World.start(context, { contentWaitMs: 30 })
  const ended = await world.ended(await importing(world))
  assert.equal(ended.error?.code, 'invalid')
  assert.match(ended.error.message, /did not begin to come/)
  await assertWhole(world)
})

test('a sender who goes away before the host is ready', async (context) => {
  const world = await World.start(context)
  const task = await importing(world)
  const gone = new AbortController()
  gone.abort(new Error('closed'))
  await assert.rejects(
    world.work.disks.sendContent(task.id, Readable.from(chunks(sizeBytes)), sizeBytes, gone.signal),
    {
      code: 'invalid',
      message: /broke off/,
    },
  )
  await assertWhole(world)
})

test('content is taken once, of the size that was announced, by a task that waits for it', async (context) => {
  const world = await World.start(context)
  const task = await importing(world)
  const send = (id: string, bytes: number | null) =>
    world.work.disks.sendContent(id, Readable.from(chunks(sizeBytes)), bytes, never)
  await assert.rejects(send('nothing', null), { code: 'not-found' })
  await assert.rejects(send(task.id, sizeBytes - 1), { code: 'invalid', field: 'content-length' })
  const both = await Promise.allSettled([send(task.id, null), send(task.id, null)])
  assert.deepEqual(both.map(({ status }) => status).toSorted(), ['fulfilled', 'rejected'])
  await assert.rejects(send(task.id, sizeBytes), { code: 'invalid', message: /has ended/ })
  await world.ended(task)
  const other = await world.work.changePolicy(admin, 'web', { home: encryptionPolicy })
  await assert.rejects(send(other.id, sizeBytes), { code: 'invalid' })
  await world.ended(other)
})

test('an import waits on through a restart of the control plane', async (context) => {
  const world = await World.start(context)
  const task = await importing(world)
  await world.until(() => world.hostA.operations.size > 0)
  await world.reboot()
  const ended = await world.work.disks.sendContent(task.id, Readable.from(chunks(sizeBytes)), null, never)
  assert.equal(ended.state, 'success')
  await assertWhole(world)
})

test('an import is cancelled while it waits', async (context) => {
  const world = await World.start(context)
  const task = await importing(world)
  await world.until(() => world.hostA.operations.size > 0)
  await world.work.tasks.cancel(task.id)
  assert.equal((await world.ended(task)).state, 'cancelled')
  await assertWhole(world)
})

test('an image is announced in whole sectors, and a disk added in them', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await assert.rejects(world.work.disks.importImage(admin, 'web', { format: 'raw', contentBytes: 1000 }), {
    code: 'invalid',
    field: 'contentBytes',
  })
  await assert.rejects(world.work.disks.add(admin, 'web', { sizeBytes: 1000 }), { code: 'invalid', field: 'sizeBytes' })
  await assert.rejects(world.work.disks.add(admin, 'web', { sizeBytes: 1024, policy: encryptionPolicy }), {
    code: 'encryption-order',
  })
  const task = await world.ended(await world.work.disks.add(admin, 'web', { sizeBytes: 1024, policy: plainPolicy }))
  assert.equal(task.state, 'success')
  assert.deepEqual(
    (await world.work.disks.list('web')).map(({ number }) => number),
    [0, 1, 2],
  )
})
