import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { test } from 'node:test'
import type { OperationRequest } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { SeededRandom, type StorageCall } from '@cryptvisor/testkit'
import { DeviceVm, deviceOf, devicePath, otherDeviceBytes, otherDevicePath } from '../testing/device-vm.ts'
import { runToEnd, simulatedHost, startedOperations } from '../testing/simulated-host.ts'
import { endOf } from '../testing/test-host.ts'
import { newVm } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

const seedDefault = 20_260_713
const sizeBytes = 5_242_880

/** Slow enough that a test sees the first steps. */
const bytesPerSecondMax = 16_777_216

const onDevice = (kind: StorageCall['kind'], from: number) => (call: StorageCall) =>
  call.path === devicePath && call.kind === kind && call.callCount > 0 && (call.position ?? from) >= from

for (const kind of ['encrypt', 'decrypt'] as const) {
  test(`${kind} in place: what fails once data have moved is done again until it works`, async (context) => {
    const random = SeededRandom.of(context, seedDefault)
    const faults = {
      'a write fails': { when: onDevice('write', 0), outcome: { code: 'EIO' } },
      'a sync fails': { when: onDevice('sync', 0), outcome: { code: 'EIO' } },
      'writes are short': { when: onDevice('write', 0), outcome: { sizeBytesMax: 10_000 } },
      'what is read back is wrong': { when: onDevice('read', 2_097_152), outcome: { flipBit: 77 } },
      'the datastore is full': {
        when: ({ kind: call, path }: StorageCall) => call === 'write' && path.endsWith('journal.json.new'),
        outcome: { code: 'ENOSPC' },
      },
    } as const
    for (const [what, { when, outcome }] of Object.entries(faults)) {
      using made = await DeviceVm.make(random.fork(), sizeBytes)
      if (kind === 'decrypt') await made.run(made.encrypt())
      const { storage } = made
      let armed = false
      // Only what comes after the first step was written.
      storage.fail({ when: (call) => armed && when(call), outcome, times: 1 })
      storage.fail({
        when: (call) => {
          armed ||= call.path === devicePath && call.kind === 'sync'
          return false
        },
        outcome,
        times: 1,
      })
      await using operations = startedOperations(storage, made.keys)
      const { state, vm, error } = await runToEnd(operations, randomUUID(), made[kind](), null)
      assert.ok(state === 'done' && vm !== null, `${what}: ${state} ${error?.message}`)
      await made.checkWhole(storage, vm)
      await made.checkWhole(storage.cut(storage.trace.length, 'nothing'), vm)
    }
  })

  test(`${kind} in place: a cancel comes too late once data have moved, and a stop lets it go on later`, async (context) => {
    using made = await DeviceVm.make(SeededRandom.of(context, seedDefault), sizeBytes)
    if (kind === 'decrypt') await made.run(made.encrypt())
    const request: OperationRequest = { ...made[kind](), bytesPerSecondMax }
    const id = randomUUID()
    {
      await using operations = startedOperations(made.storage, made.keys)
      operations.start(id, request)
      // It reads the disk through first.
      while (operations.status(id).doneBytes <= sizeBytes) await new Promise((resolve) => setTimeout(resolve, 2))
      operations.cancel(id)
      // The agent stops before it is done.
    }
    await using later = startedOperations(made.storage, made.keys)
    const { state, vm } = await later.recover(id, request)
    assert.ok(state === 'done' && vm !== null)
    await made.checkWhole(made.storage, vm)
  })

  test(`${kind} in place: where a sector cannot be read nothing is moved`, async (context) => {
    using made = await DeviceVm.make(SeededRandom.of(context, seedDefault), sizeBytes)
    if (kind === 'decrypt') await made.run(made.encrypt())
    const { storage } = made
    const before = deviceOf(storage)
    const bad = sizeBytes / 2
    storage.fail({
      when: ({ path, kind: call, position = 0, sizeBytes: asked = 0 }) =>
        path === devicePath && call === 'read' && position <= bad && bad < position + asked,
      outcome: { code: 'EIO' },
      times: Number.POSITIVE_INFINITY,
    })
    await using operations = startedOperations(storage, made.keys)
    const { state, error } = await runToEnd(operations, randomUUID(), made[kind](), null)
    assert.equal(state, 'failed')
    assert.equal(error?.code, 'io')
    storage.clearFaults()
    assert.ok(deviceOf(storage).equals(before))
    await made.checkWhole(storage, made.vm)
  })

  test(`${kind} in place: cancelled before data move, all is as it was`, async (context) => {
    using made = await DeviceVm.make(SeededRandom.of(context, seedDefault), sizeBytes)
    if (kind === 'decrypt') await made.run(made.encrypt())
    const before = deviceOf(made.storage)
    const id = randomUUID()
    await using operations = startedOperations(made.storage, made.keys)
    operations.start(id, made[kind]())
    operations.cancel(id)
    assert.equal((await endOf(operations, id)).error?.code, 'cancelled')
    assert.ok(deviceOf(made.storage).equals(before))
    await made.checkWhole(made.storage, made.vm)
  })
}

test('without verification it is moved all the same', async (context) => {
  using made = await DeviceVm.make(SeededRandom.of(context, seedDefault), sizeBytes)
  await made.run({ ...made.encrypt(), verify: false })
  await made.checkWhole(made.storage, made.vm)
  await made.run({ ...made.decrypt(), verify: false })
  await made.checkWhole(made.storage, made.vm)
})

test('what cannot be is refused, and nothing is touched', async (context) => {
  using made = await DeviceVm.make(SeededRandom.of(context, seedDefault), 65_536, 1_048_576)
  const { key } = made
  await made.run({ ...made.encrypt(), disks: [] })
  const before = deviceOf(made.storage)
  const { vm } = made
  const encrypt = made.encrypt()
  const other = { ...made.addDisk(512), device: otherDevicePath }
  const refusals: readonly [OperationRequest, RegExp][] = [
    [encrypt, /grow by 2 MiB/],
    [{ ...encrypt, disks: encrypt.disks.map((disk) => ({ ...disk, thin: true })) }, /thin/],
    [made.addDisk(512), /is that of disk 0/],
    [{ ...other, device: '/dev/vdc' }, /is not there/],
    [{ ...other, device: '/dev/../dev/vdb' }, /without «..»/],
    [{ ...other, device: '/dev/../etc/vdb' }, /without «..»/],
    [{ ...other, format: 'qcow2' }, /is raw, not qcow2/],
    [{ ...other, key }, /added as it lies/],
    [{ ...other, virtualBytes: otherDeviceBytes + 512 }, /fewer than the disk/],
    [{ ...other, virtualBytes: 513 }, /whole sectors/],
    [{ kind: 'deep-rekey', vm, home: null, disks: vm.disks.map(({ diskId }) => ({ diskId, key })) }, /plain/],
  ]
  await using operations = startedOperations(made.storage, made.keys)
  const refuse = async (request: OperationRequest, text: RegExp) => {
    const { state, error } = await runToEnd(operations, randomUUID(), request, null)
    assert.equal(state, 'failed')
    assert.equal(error?.code, 'refused', error?.message)
    assert.match(error?.message ?? '', text)
  }
  for (const [request, text] of refusals) await refuse(request, text)
  {
    await using _busy = await made.storage.openDevice(otherDevicePath, 'write')
    await refuse(other, /is in use/)
  }
  assert.ok(deviceOf(made.storage).equals(before))
  await made.checkWhole(made.storage, vm)
})

test('a disk on a device goes by itself, and it stays as it is when its VM is deleted', async (context) => {
  using made = await DeviceVm.make(SeededRandom.of(context, seedDefault), 65_536)
  const { storage, keys } = made
  await made.run({ ...made.addDisk(otherDeviceBytes), device: otherDevicePath })
  await using operations = startedOperations(storage, keys)
  const { error } = await runToEnd(operations, randomUUID(), made.encrypt(), null)
  assert.match(error?.message ?? '', /name it alone/)
  const before = deviceOf(storage)
  const { state } = await runToEnd(operations, randomUUID(), { kind: 'delete-vm', vm: made.vm }, null)
  assert.equal(state, 'done')
  assert.equal(
    storage.paths().some((path) => path.startsWith('/datastore/')),
    false,
  )
  assert.ok(deviceOf(storage).equals(before))
})

test('an encrypted device takes a new KEK where it is, and what is cloned of it is a file', async (context) => {
  using made = await DeviceVm.make(SeededRandom.of(context, seedDefault), 65_536)
  const { storage, keys, key } = made
  await made.run(made.encrypt())
  const source = made.vm
  const vm = { ...newVm('/datastore', 'vm-2'), name: 'a clone' }
  const disks = source.disks.map(({ diskId }) => ({
    sourceDiskId: diskId,
    diskId: randomUUID(),
    key,
    dek: 'new' as const,
  }))
  await using operations = startedOperations(storage, keys)
  const clone = await runToEnd(operations, randomUUID(), { kind: 'clone-vm', vm, source, home: { key }, disks }, null)
  assert.equal(clone.state, 'done', clone.error?.message)
  assert.equal(clone.vm?.disks[0]?.device, undefined)
  const other = { provider: 'kms', keyId: 'key-2' }
  keys.add(other, Secret.random(32))
  const rekeyed = source.disks.map(({ diskId }) => ({ diskId, key: other }))
  await made.run({ kind: 'shallow-rekey', vm: source, home: { key: other }, disks: rekeyed })
  assert.deepEqual(made.vm.disks[0]?.encryption?.keys, [other])
  assert.deepEqual(await lockStateOf(simulatedHost(storage, keys), made.vm), { state: 'unlocked', reason: null })
  await made.run(made.decrypt())
  assert.ok(deviceOf(storage).subarray(0, made.content.length).equals(made.content))
})
