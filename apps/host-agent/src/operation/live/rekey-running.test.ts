import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { qemuSkip } from '@cryptvisor/testkit'
import { layerName } from '../../disk/layer-file.ts'
import type { Machines } from '../../machine/machines.ts'
import { QemuProcess } from '../../machine/qemu-process.ts'
import { endOf, importRequest, TestHost } from '../../testing/test-host.ts'
import { openMachines, powerAllOff, powerOnOf, until } from '../../testing/test-machines.ts'
import { encryptAll, sha256Of } from '../../testing/test-vm.ts'
import { lockStateOf } from '../lock-state.ts'

const skip = qemuSkip
const diskBytes = 131_072

/** No operation of these tests makes as many changes on disk. */
const changesMax = 100

/** A host on which an encrypted VM with two disks runs. */
async function running(context: TestContext) {
  const host = new TestHost()
  const machines = await openMachines(host)
  context.after(async () => {
    // Only one at a time may speak to a monitor.
    await machines[Symbol.asyncDispose]()
    await powerAllOff(host)
    await host[Symbol.asyncDispose]()
  })
  const plain = await host.done(importRequest(await host.plainVm(diskBytes), diskBytes), randomBytes(diskBytes))
  const vm = await host.done(encryptAll(plain, host.key))
  await machines.powerOn(powerOnOf(vm))
  host.machines = machines
  return { host, vm, machines, qemu: await qemuOf(host, vm) }
}

async function qemuOf(host: TestHost, { vmId }: VmAuthority): Promise<QemuProcess> {
  const found = await QemuProcess.find(join(host.root, 'run', vmId))
  assert.ok(found !== null)
  return found
}

function newKey(host: TestHost, keyId: string): KeyReference {
  const key = { provider: 'kms', keyId }
  host.keys.add(key, Secret.random(32))
  return key
}

function rekeyAll(vm: VmAuthority, key: KeyReference): OperationRequest {
  return { kind: 'shallow-rekey', vm, home: { key }, disks: vm.disks.map(({ diskId }) => ({ diskId, key })) }
}

const stateOf = (machines: Machines) => machines.statuses[0]?.state

test('a VM that runs gets a new KEK for VM Home and its disks, and another one after that', {
  skip,
}, async (context) => {
  const { host, vm, machines, qemu } = await running(context)
  const [before] = machines.statuses
  const second = newKey(host, 'key-2')
  const once = await host.done(rekeyAll(vm, second))
  assert.deepEqual(once.encryption?.keys, [second])
  assert.deepEqual(
    once.disks.map(({ encryption }) => encryption?.keys),
    [[second], [second]],
  )
  const twice = await host.done(rekeyAll(once, newKey(host, 'key-3')))
  assert.deepEqual(machines.statuses, [before], 'nobody has noticed')
  assert.ok(qemu.isAlive())
  host.keys.remove(host.key)
  host.keys.remove(second)
  assert.deepEqual(await lockStateOf(host.host(), twice), { state: 'unlocked', reason: null })
  // It starts with the new one alone, and not as it was before.
  await machines.changePower(vm.vmId, { action: 'power-off', lease: 1 })
  await assert.rejects(machines.powerOn(powerOnOf(vm, 2)), { code: 'datastore-mismatch' })
  assert.equal((await machines.powerOn(powerOnOf(twice, 3))).state, 'running')
})

test('an agent that is killed at any moment is followed by one that brings it to its end, while the VM runs', {
  skip,
}, async (context) => {
  const { host, vm, machines, qemu } = await running(context)
  await machines[Symbol.asyncDispose]()
  const hashes = async (now: VmAuthority) =>
    await Promise.all(now.disks.map((disk) => sha256Of(host.path(layerName(disk)))))
  const states = new Set<string>()
  let now = vm
  let crashCount = 0
  for (; crashCount < changesMax; crashCount++) {
    const id = randomUUID()
    const request = rekeyAll(now, newKey(host, `key-of-crash-${crashCount}`))
    const was = await hashes(now)
    {
      await using first = await openMachines(host)
      host.machines = first
      if (!(await host.crash(id, async (operations) => operations.start(id, request), crashCount))) break
    }
    {
      await using second = await openMachines(host)
      host.machines = second
      await host.crash(id, (operations) => operations.recover(id, request), crashCount % 6)
    }
    await using third = await openMachines(host)
    host.machines = third
    await using operations = host.operations()
    const status = await operations.recover(id, request)
    states.add(status.state)
    await operations.forget(id)
    assert.ok(!existsSync(host.path('journal.json')))
    if (status.state === 'done') {
      assert.ok(status.vm !== null)
      now = status.vm
    } else assert.deepEqual(await hashes(now), was, `after crash ${crashCount} all is as it was`)
    assert.deepEqual(await lockStateOf(host.host(), now), { state: 'unlocked', reason: null })
    assert.ok(qemu.isAlive())
  }
  assert.ok(crashCount > 10, `${crashCount} crashes`)
  assert.ok(states.has('done') && (states.has('failed') || states.has('unknown')))
})

test('a QEMU that ends meanwhile is not off before the operation is done', { skip }, async (context) => {
  const { host, vm, machines, qemu } = await running(context)
  const seen: (string | undefined)[] = []
  const id = randomUUID()
  await using operations = host.operations(async () => {
    if (seen.length === 0) await qemu.kill()
    seen.push(stateOf(machines))
    assert.ok(machines.isPoweredOn(vm.vmId))
    await assert.rejects(machines.powerOn(powerOnOf(vm, 2)), { code: 'vm-busy' })
  })
  operations.start(id, rekeyAll(vm, newKey(host, 'key-2')))
  const status = await endOf(operations, id)
  assert.equal(status.state, 'done', status.error?.message ?? '')
  assert.ok(seen.length > 10 && !seen.includes('off'))
  await until(() => stateOf(machines) === 'off')
  assert.ok(status.vm !== null)
  assert.equal((await machines.powerOn(powerOnOf(status.vm, 2))).state, 'running')
})

test('one operation at a time, and whoever powers off waits for it', { skip }, async (context) => {
  const { host, vm, machines } = await running(context)
  const id = randomUUID()
  const goesOn = Promise.withResolvers<void>()
  const began = Promise.withResolvers<void>()
  await using operations = host.operations(async () => {
    began.resolve()
    await goesOn.promise
  })
  operations.start(id, rekeyAll(vm, newKey(host, 'key-2')))
  await began.promise
  const other = await host.run(rekeyAll(vm, newKey(host, 'key-3')))
  assert.deepEqual(other.error, {
    code: 'vm-busy',
    message: `VM ${vm.name}: another operation works on it; wait until it is done`,
  })
  let isOff = false
  const off = machines.changePower(vm.vmId, { action: 'power-off', lease: 1 }).then(() => {
    isOff = true
  })
  await until(() => machines.statuses.length === 1)
  assert.ok(!isOff)
  goesOn.resolve()
  assert.equal((await endOf(operations, id)).state, 'done')
  await off
})

test('what the control plane says lies elsewhere is not rekeyed', { skip }, async (context) => {
  const { host, vm } = await running(context)
  const key = newKey(host, 'key-2')
  const { error } = await host.run(rekeyAll({ ...vm, folder: 'vm-2' }, key))
  assert.equal(error?.code, 'datastore-mismatch')
  assert.match(error?.message ?? '', /runs from .*vm-1.*, the control plane knows .*vm-2/)
})
