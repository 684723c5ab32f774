import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { encryptionPolicy, plainPolicy } from '@cryptvisor/control-plane-api'
import { Secret } from '@cryptvisor/secret'
import { holdsTrace } from '@cryptvisor/testkit'
import { assertWhole } from './testing/invariants.ts'
import { fingerprint } from './testing/simulated-datastore.ts'
import { admin, userWithout, World } from './testing/world.ts'

const never = new AbortController().signal
const contentBytes = 4096

const content = () => Readable.from([Buffer.alloc(contentBytes)])

async function send(world: World, id: string): Promise<void> {
  using passphrase = Secret.from(Buffer.from('open sesame, mountain'))
  await world.work.disks.sendPassphrase(id, passphrase, never)
}

test('a LUKS volume becomes a disk: its passphrase goes to the host, then its content', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await world.ended(await world.work.changePolicy(admin, 'web', { home: encryptionPolicy }))
  for (const mode of ['import', 'adopt'] as const) {
    const task = await world.work.disks.importVolume(admin, 'web', { mode, format: 'raw', contentBytes })
    assert.equal(task.type, 'vm.import-volume')
    // It may come before the host is ready for it.
    await send(world, task.id)
    const operation = [...world.hostA.operations.values()].at(-1)
    assert.equal(operation?.passphrase, fingerprint(Buffer.from('open sesame, mountain')))
    assert.ok(operation.request.kind === 'import-volume' && operation.request.mode === mode)
    const ended = await world.work.disks.sendContent(task.id, content(), contentBytes, never)
    assert.equal(ended.state, 'success')
    const disk = (await world.work.disks.list('web')).at(-1)
    assert.deepEqual([disk?.encrypted, disk?.key?.keyId, disk?.policy], [true, 'key-3', encryptionPolicy])
  }
  for (const name of readdirSync(world.folder)) {
    const trace = holdsTrace(readFileSync(join(world.folder, name)), Buffer.from('open sesame, mountain'))
    assert.ok(!trace, `the passphrase is in ${name}`)
  }
  assert.ok(!JSON.stringify(world.process.logged).includes('sesame'))
  const texts = (await world.eventsOf('vm.crypto.encrypted')).map(({ text }) => text)
  assert.match(texts.at(-1) ?? '', /adopted.*old copies of its volume still open with the old passphrase/)
  await assertWhole(world)
})

test('a volume on a plain VM is laid down plain', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const task = await world.work.disks.importVolume(admin, 'web', { format: 'qcow2', contentBytes })
  await send(world, task.id)
  await world.work.disks.sendContent(task.id, content(), null, never)
  assert.equal((await world.work.disks.list('web')).at(-1)?.encrypted, false)
  assert.equal(world.kms.keys.size, 0)
  await assertWhole(world)
})

test('content before its passphrase is refused and leaves nothing', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const task = await world.work.disks.importVolume(admin, 'web', { format: 'raw', contentBytes })
  await assert.rejects(world.work.disks.sendContent(task.id, content(), contentBytes, never), {
    code: 'invalid',
    message: /passphrase of the volume comes before/,
  })
  assert.equal((await world.ended(task)).state, 'error')
  assert.equal((await world.work.disks.list('web')).length, 2)
  await assertWhole(world)
})

test('a passphrase is taken by an import of a volume that waits for it, and by nothing else', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  await assert.rejects(send(world, 'none'), { code: 'not-found' })
  const plain = await world.work.disks.importImage(admin, 'web', { format: 'raw', contentBytes })
  await assert.rejects(send(world, plain.id), { code: 'invalid', message: /no LUKS volume/ })
  await world.work.disks.sendContent(plain.id, content(), null, never)
  await assert.rejects(send(world, plain.id), { code: 'invalid', message: /has ended/ })
  const volume = await world.work.disks.importVolume(admin, 'web', { format: 'raw', contentBytes })
  using passphrase = Secret.random(16)
  const left = world.work.disks.sendPassphrase(volume.id, passphrase, AbortSignal.abort())
  await assert.rejects(left, { code: 'cancelled' }, 'a sender who left is no fault of ours')
  await world.work.tasks.cancel(volume.id)
  await world.ended(volume)
})

test('an import of a volume that cannot be is refused before anything happens', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const ask = (request: object, user = admin) =>
    world.work.disks.importVolume(user, 'web', { format: 'raw', contentBytes, ...request })
  await assert.rejects(ask({ policy: encryptionPolicy }), { code: 'encryption-order', field: 'policy' })
  await assert.rejects(ask({ mode: 'adopt' }), { code: 'invalid', field: 'policy', message: /encrypt VM Home first/ })
  await assert.rejects(ask({ thin: true }), { code: 'invalid', field: 'thin' })
  await assert.rejects(ask({ contentBytes: 1000 }), { code: 'invalid', field: 'contentBytes' })
  await world.ended(await world.work.changePolicy(admin, 'web', { home: encryptionPolicy }))
  await assert.rejects(ask({ mode: 'adopt', thin: true }), { code: 'invalid', field: 'thin' })
  await assert.rejects(ask({ mode: 'adopt', policy: plainPolicy }), { code: 'invalid', field: 'policy' })
  await assert.rejects(ask({}, userWithout('Cryptographer.AddDisk')), { code: 'no-privilege' })
  await assert.rejects(ask({}, userWithout('Cryptographer.EncryptNew')), { code: 'no-privilege' })
  assert.equal((await world.work.showVm('web')).task, null)
})

test('a block device becomes a plain disk, of one VM only, and is encrypted where it lies', async (context) => {
  const world = await World.start(context)
  await world.plainVm()
  const add = (request: object, user = admin) =>
    world.work.disks.add(user, 'web', { sizeBytes: 4096, device: '/dev/disk/by-id/one', ...request })
  await assert.rejects(add({}, userWithout('VirtualMachine.Config.RawDevice')), { code: 'no-privilege' })
  await assert.rejects(add({ policy: encryptionPolicy }), { code: 'invalid', field: 'policy' })
  await assert.rejects(add({ format: 'qcow2' }), { code: 'invalid', field: 'format' })
  await assert.rejects(add({ device: '/dev/x/../../etc/shadow' }), { code: 'invalid', field: 'device' })
  await assert.rejects(add({ sizeBytes: 1000 }), { code: 'invalid', field: 'sizeBytes' })
  const task = await world.ended(await add({}))
  assert.equal(task.state, 'success', task.error?.message)
  const disk = (await world.work.disks.list('web')).at(-1)
  assert.deepEqual(
    [disk?.device, disk?.path, disk?.encrypted, disk?.format],
    ['/dev/disk/by-id/one', '/dev/disk/by-id/one', false, 'raw'],
  )
  await assert.rejects(add({}), { code: 'already-exists', field: 'device', message: /disk 2 of VM web/ })
  const thin = { policy: encryptionPolicy, thin: true }
  await assert.rejects(world.work.changePolicy(admin, 'web', thin), { field: 'thin', message: /block device/ })
  await assert.rejects(world.work.changePolicy(admin, 'web', { policy: encryptionPolicy }), {
    field: 'disks',
    message: /disk 2 .* goes by itself.*\(0, 1\)/,
  })
  await world.ended(await world.work.changePolicy(admin, 'web', { home: encryptionPolicy }))
  const alone = { disks: [{ number: 2, policy: encryptionPolicy }] }
  await world.ended(await world.work.changePolicy(admin, 'web', alone))
  const after = (await world.work.disks.list('web')).at(-1)
  assert.deepEqual([after?.device, after?.encrypted], ['/dev/disk/by-id/one', true])
  await world.ended(await world.work.changePolicy(admin, 'web', { disks: [{ number: 0, policy: encryptionPolicy }] }))
  await assert.rejects(world.work.rekeyVm(admin, 'web', { depth: 'deep' }), { field: 'disks' })
  const shallow = await world.ended(await world.work.rekeyVm(admin, 'web', { depth: 'shallow' }))
  assert.equal(shallow.state, 'success', 'a shallow one rewrites no data')
  await assertWhole(world)
})

test('of two requests for one block device at once, one gets it', async (context) => {
  const world = await World.start(context)
  await world.plainVm('web')
  await world.plainVm('db')
  const device = '/dev/disk/by-id/one'
  const asked = await Promise.allSettled(
    ['web', 'db'].map((vm) => world.work.disks.add(admin, vm, { sizeBytes: 4096, device })),
  )
  const refused = asked.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
  assert.equal(refused.length, 1)
  assert.partialDeepStrictEqual({ ...Object(refused[0]) }, { code: 'already-exists', field: 'device' })
  for (const one of asked) if (one.status === 'fulfilled') await world.ended(one.value)
  const disks = [...(await world.work.disks.list('web')), ...(await world.work.disks.list('db'))]
  assert.equal(disks.filter((disk) => disk.device === device).length, 1)
})
