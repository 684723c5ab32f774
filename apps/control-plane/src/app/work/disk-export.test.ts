import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import { encryptionPolicy } from '@cryptvisor/control-plane-api'
import { RestClientError } from '@cryptvisor/rest'
import { admin, userWithout, World } from './testing/world.ts'

const never = new AbortController().signal

test('a disk is read out whole; that somebody does is on record before the first byte', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  world.hostA.keys.delete('vault/key-3')
  const { content, sizeBytes } = await world.work.disks.exportImage(admin, 'web', 1, { format: 'raw' }, never)
  const [told] = await world.eventsOf('vm.disk-exported')
  assert.deepEqual([told?.vm, told?.user], ['web', 'ada'])
  assert.match(told?.text ?? '', /ada reads out disk 1 of VM web as raw: 2048 bytes/)
  assert.equal(sizeBytes, 2048)
  assert.deepEqual(await buffer(content), Buffer.alloc(2048, 7))
  assert.deepEqual(await world.eventsOf('vm.disk-export-failed'), [])
})

test('a disk that is not read to its end is on record, too', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  world.hostA.onExport = () =>
    Readable.from(
      (function* () {
        yield Buffer.alloc(100)
        throw new RestClientError('protocol', 'the answer broke off')
      })(),
    )
  const broken = await world.work.disks.exportImage(admin, 'web', 0, { format: 'qcow2' }, never)
  await assert.rejects(buffer(broken.content), /broke off/)
  await world.until(async () => (await world.eventsOf('vm.disk-export-failed')).length === 1)
  world.hostA.onExport = () => new Readable({ read: () => undefined })
  const left = await world.work.disks.exportImage(admin, 'web', 0, { format: 'raw' }, never)
  left.content.destroy()
  await world.until(async () => (await world.eventsOf('vm.disk-export-failed')).length === 2)
  assert.deepEqual(
    (await world.eventsOf('vm.disk-export-failed')).map(({ text }) => text.replace(/^.*broke off: /, '')),
    ['the answer broke off', 'whoever read it went away'],
  )
})

test('an answer that breaks off while its event is recorded is an error and an event, and nothing else', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const gate = Promise.withResolvers<void>()
  const asked = Promise.withResolvers<Readable>()
  let busy: Promise<void> = Promise.resolve()
  world.hostA.onExport = () => {
    // Others write to the database meanwhile, so that the event has to wait.
    busy = world.process.database.transaction().execute(() => gate.promise)
    const answer = new Readable({ read: () => undefined })
    asked.resolve(answer)
    return answer
  }
  const reading = world.work.disks.exportImage(admin, 'web', 0, { format: 'raw' }, never)
  const refused = assert.rejects(reading, { code: 'agent-failed', message: /host host-a: the answer broke off/ })
  const answer = await asked.promise
  await world.pause()
  answer.destroy(new RestClientError('protocol', 'the answer broke off'))
  await world.pause()
  gate.resolve()
  await busy
  await refused
  await world.until(async () => (await world.eventsOf('vm.disk-export-failed')).length === 1)
  assert.equal((await world.eventsOf('vm.disk-exported')).length, 1)
})

test('a disk that nobody reads on, and one that is read while the control plane stops, are let go of', async (context) => {
  const world = await World.start(context, { contentWaitMs: 50 })
  await world.plainVm()
  world.hostA.onExport = () => Readable.from([Buffer.alloc(10_000_000)])
  const { content } = await world.work.disks.exportImage(admin, 'web', 0, { format: 'raw' }, never)
  content.on('error', () => undefined)
  await world.until(async () => (await world.eventsOf('vm.disk-export-failed')).length === 1)
  assert.match((await world.eventsOf('vm.disk-export-failed'))[0]?.text ?? '', /nothing was read/)
  assert.ok(content.destroyed)
  const endless = new Readable({ read: () => undefined })
  world.hostA.onExport = () => endless
  const other = await world.work.disks.exportImage(admin, 'web', 0, { format: 'raw' }, never)
  other.content.on('error', () => undefined)
  await world.stop()
  assert.ok(endless.destroyed)
})

test('what cannot be read out is refused, and nothing is on record', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const read = (user = admin, number = 0) => world.work.disks.exportImage(user, 'web', number, { format: 'raw' }, never)
  await assert.rejects(read(admin, 7), { code: 'not-found' })
  const plain = await read(userWithout('Cryptographer.Access'))
  await buffer(plain.content)
  await world.ended(await world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }))
  await assert.rejects(read(userWithout('Cryptographer.Access')), { code: 'no-privilege' })
  world.kms.down = true
  world.hostA.keys.delete('vault/key-3')
  await assert.rejects(read(), { code: 'kms-unreachable' })
  world.kms.down = false
  const stored = world.datastore.vms.get('web')
  assert.ok(stored)
  stored.authority = { ...stored.authority, generation: 77 }
  await assert.rejects(read(), { code: 'invalid', message: /host host-a: vm.json is another one/ })
  await world.disconnect(world.hostA)
  await assert.rejects(read(), { code: 'host-disconnected' })
  assert.equal((await world.eventsOf('vm.disk-exported')).length, 1)
})
