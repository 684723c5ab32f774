import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { MachineStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import { connectQmp } from '@cryptvisor/qmp'
import { qemuSkip } from '@cryptvisor/testkit'
import { luksName } from '../disk/layer-file.ts'
import { importRequest, TestHost } from '../testing/test-host.ts'
import { openMachines, powerAllOff, powerOnOf, until } from '../testing/test-machines.ts'
import { decryptAll, details, encryptAll, newVm, sha256Of } from '../testing/test-vm.ts'
import { runFiles } from './machine-description.ts'
import { nodeName } from './node-names.ts'
import { QemuProcess } from './qemu-process.ts'

const skip = qemuSkip

async function newHost(context: TestContext): Promise<TestHost> {
  const host = new TestHost()
  context.after(async () => {
    await powerAllOff(host)
    await host[Symbol.asyncDispose]()
  })
  return host
}

/** A VM whose first disk is encrypted, and its second one plain. */
async function encryptedVm(host: TestHost): Promise<VmAuthority> {
  const encrypted = await host.done(encryptAll(await host.plainVm(1_048_576), host.key))
  return await host.done(importRequest(encrypted, 131_072), randomBytes(131_072))
}

function decryptFirst(vm: VmAuthority) {
  return { ...decryptAll({ ...vm, disks: vm.disks.slice(0, 1) }), vm }
}

const runFolder = (host: TestHost, { vmId }: VmAuthority) => join(host.root, 'run', vmId)

async function processOfVm(host: TestHost, vm: VmAuthority): Promise<QemuProcess> {
  const found = await QemuProcess.find(runFolder(host, vm))
  assert.ok(found !== null)
  return found
}

test('a VM is started, with each disk as the control plane knows it, and powered off', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  const [first] = vm.disks
  assert.ok(first !== undefined)
  {
    await using machines = await openMachines(host)
    const status = await machines.powerOn(powerOnOf(vm, 7))
    const { state, lease, ended, acceleration } = status
    assert.deepEqual(
      { state, lease, ended, acceleration },
      { state: 'running', lease: 7, ended: null, acceleration: 'tcg' },
    )
    assert.match(status.qemu, /^\d+\.\d+\.\d+$/)
    assert.deepEqual(await machines.powerOn(powerOnOf(vm, 7)), status)
    assert.deepEqual(machines.statuses, [status])
    assert.ok(machines.isPoweredOn(vm.vmId))
    await assert.rejects(machines.forget(vm.vmId), { code: 'machine-runs' })
    await assert.rejects(machines.powerOn(powerOnOf(vm, 8)), { code: 'vm-busy' })
  }
  // The agent that started it is gone. Only one at a time may speak to a monitor.
  const qmp = await connectQmp(join(runFolder(host, vm), runFiles.monitor))
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true })
  const luks = nodes.find((node) => node['node-name'] === nodeName('luks', first.layerId))
  assert.equal(luks?.drv, 'luks')
  assert.ok(luks.encrypted)
  const objects = await qmp.execute('qom-list', { path: '/objects' })
  assert.ok(!objects.some(({ type }) => type.includes('secret')))
  qmp.close()

  await using machines = await openMachines(host)
  const off = await machines.changePower(vm.vmId, { action: 'power-off', lease: 7 })
  assert.deepEqual([off.state, off.ended, off.reason], ['off', 'asked', 'it was powered off'])
  assert.equal(await QemuProcess.find(runFolder(host, vm)), null)
  // Its lock is free, and nothing was changed.
  await host.done(decryptFirst(vm))
})

test('a VM that runs is busy for every operation, and they say so', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  await using machines = await openMachines(host)
  await machines.powerOn(powerOnOf(vm))
  host.machines = machines
  const { state, error } = await host.run(decryptFirst(vm))
  assert.deepEqual([state, error?.code], ['failed', 'vm-busy'])
  assert.equal(error?.message, `VM ${vm.name} is powered on; power it off first`)
})

test('leases only grow, and one that was powered off under is over', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  {
    await using machines = await openMachines(host)
    await machines.powerOn(powerOnOf(vm, 5))
    for (const lease of [4, 6]) {
      await assert.rejects(machines.changePower(vm.vmId, { action: 'power-off', lease }), { code: 'lease-outdated' })
    }
    await machines.changePower(vm.vmId, { action: 'power-off', lease: 5 })
    assert.equal((await machines.changePower(vm.vmId, { action: 'power-off', lease: 5 })).ended, 'asked')
    await machines.forget(vm.vmId)
    await machines.forget(vm.vmId)
    assert.deepEqual(machines.statuses, [])
  }
  await using machines = await openMachines(host)
  for (const lease of [4, 5]) await assert.rejects(machines.powerOn(powerOnOf(vm, lease)), { code: 'lease-outdated' })
  // A call to start it that comes after the one to end it.
  await assert.rejects(machines.changePower(vm.vmId, { action: 'power-off', lease: 9 }), { code: 'no-such-machine' })
  await assert.rejects(machines.powerOn(powerOnOf(vm, 9)), { code: 'lease-outdated' })
  assert.equal((await machines.powerOn(powerOnOf(vm, 10))).state, 'running')
})

test('pausing, going on and resetting are done and told', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  await using machines = await openMachines(host)
  const told: MachineStatus['state'][] = []
  let last = (await machines.powerOn(powerOnOf(vm))).revision
  using _listener = machines.onChange(() => {
    const [status] = machines.statuses
    assert.ok(status !== undefined && status.revision > last)
    last = status.revision
    told.push(status.state)
  })
  const change = async (action: 'pause' | 'resume' | 'reset' | 'shut-down') =>
    (await machines.changePower(vm.vmId, { action, lease: 1 })).state
  assert.equal(await change('pause'), 'paused')
  assert.equal(await change('pause'), 'paused')
  assert.equal(await change('resume'), 'running')
  assert.equal(await change('reset'), 'running')
  assert.equal(await change('shut-down'), 'running')
  assert.equal(await change('pause'), 'paused')
  assert.equal(await change('reset'), 'running')
  assert.deepEqual(told.slice(0, 2), ['paused', 'running'])
})

test('a QEMU that is killed is off, with the reason, whether an agent looks or not', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  {
    await using machines = await openMachines(host)
    await machines.powerOn(powerOnOf(vm, 1))
    await (await processOfVm(host, vm)).kill()
    await until(() => machines.statuses[0]?.state === 'off')
    const [status] = machines.statuses
    assert.equal(status?.ended, 'broken')
    assert.match(status.reason ?? '', /^QEMU was ended by SIGKILL/)
    await machines.powerOn(powerOnOf(vm, 2))
  }
  await (await processOfVm(host, vm)).kill()
  await using machines = await openMachines(host)
  const [status] = machines.statuses
  assert.deepEqual([status?.state, status?.ended, status?.lease], ['off', 'broken', 2])
  assert.match(status?.reason ?? '', /not seen how/)
  await machines.forget(vm.vmId)
  assert.deepEqual(
    readdirSync(runFolder(host, vm)).filter((name) => name === 'machine.json'),
    [],
  )
})

test('an agent that starts takes up what runs, and ends what never ran', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  let before: MachineStatus
  {
    await using machines = await openMachines(host)
    before = await machines.powerOn(powerOnOf(vm, 1))
  }
  {
    await using machines = await openMachines(host)
    assert.deepEqual(machines.statuses, [before])
    assert.equal((await machines.changePower(vm.vmId, { action: 'pause', lease: 1 })).state, 'paused')
  }
  // It was killed before it could write down that the guest runs.
  const path = join(runFolder(host, vm), 'machine.json')
  const record = JSON.parse(readFileSync(path, 'utf8')) as { status: MachineStatus }
  record.status.state = 'starting'
  writeFileSync(path, JSON.stringify(record))
  {
    await using machines = await openMachines(host)
    await until(() => machines.statuses[0]?.state === 'paused')
  }
  // Its record is lost: it is known by what it is all the same.
  writeFileSync(path, '{')
  {
    await using machines = await openMachines(host)
    await until(() => machines.statuses[0]?.state === 'paused')
    assert.equal(machines.statuses[0]?.lease, 1)
    await machines.changePower(vm.vmId, { action: 'power-off', lease: 1 })
  }
  // It was killed before the guest ran.
  const half = await QemuProcess.start({
    description: { vmId: vm.vmId, memoryMib: 64, cpuCount: 1, acceleration: 'tcg', portCount: 1, lockMemory: false },
    runFolder: runFolder(host, vm),
  })
  half.qmp.close()
  record.status.state = 'starting'
  writeFileSync(path, JSON.stringify(record))
  await using machines = await openMachines(host)
  assert.deepEqual(machines.statuses, [])
  assert.ok(!half.process.isAlive())
})

test('what is not as the control plane knows it is not started, and nothing is left', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  await using machines = await openMachines(host)
  let lease = 0
  const refused = async (other: VmAuthority, code: string, text: RegExp) => {
    await assert.rejects(machines.powerOn(powerOnOf(other, ++lease)), (error) => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, code)
      assert.match(error.message, text)
      return true
    })
    assert.deepEqual(machines.statuses, [])
    assert.equal(await QemuProcess.find(runFolder(host, vm)), null)
  }
  const [encrypted, plain] = vm.disks
  assert.ok(encrypted !== undefined && plain !== undefined)
  await refused({ ...vm, generation: vm.generation - 1 }, 'datastore-mismatch', /generation/)
  await refused({ ...vm, vmId: 'no-uuid' }, 'refused', /UUID/)

  // The plain disk is as it was, and is another file: a link to one that somebody wants to read.
  const path = host.path(`${plain.layerId}.raw`)
  renameSync(path, `${path}.away`)
  symlinkSync(`${path}.away`, path)
  await refused(vm, 'datastore-mismatch', /link|regular|raw/)
  rmSync(path)
  await refused(vm, 'file-missing', /raw/)
  renameSync(`${path}.away`, path)

  // A passphrase that opens nothing: QEMU says so, and is ended.
  const luks = host.path(luksName(encrypted.layerId))
  const image = readFileSync(luks)
  const damaged = Buffer.from(image)
  damaged.fill(0, 4096, 200_000)
  writeFileSync(luks, damaged)
  await refused(vm, 'machine-failed', /password|keyslot|Invalid/i)
  writeFileSync(luks, image)

  host.keys.remove(host.key)
  await refused(vm, 'key-not-held', /does not hold/)
})

test('UEFI is refused with the reason', { skip }, async (context) => {
  const host = await newHost(context)
  const uefi = { ...details, firmware: 'uefi' } as const
  const vm = await host.done({ kind: 'create-vm', vm: newVm(host.datastore, 'uefi'), details: uefi, key: null })
  await using machines = await openMachines(host)
  await assert.rejects(machines.powerOn(powerOnOf(vm)), { code: 'refused', message: /UEFI/ })
})

test('a disk is what the control plane knows, whatever its guest has written on it', { skip }, async (context) => {
  const host = await newHost(context)
  const vm = await encryptedVm(host)
  // The header of a qcow2 that lies on a file of the host (QEMU, docs/interop/qcow2).
  const header = Buffer.alloc(512)
  header.write('QFI\xfb', 'latin1')
  header.writeUInt32BE(3, 4)
  header.writeBigUInt64BE(400n, 8)
  header.writeUInt32BE(11, 16)
  header.write('/etc/passwd', 400)
  const path = host.path(`${vm.disks[1]?.layerId}.raw`)
  const file = openSync(path, 'r+')
  writeSync(file, header, 0, header.length, 0)
  closeSync(file)
  const hash = await sha256Of(path)
  await using machines = await openMachines(host)
  // That it has this one format is checked before its guest runs.
  assert.equal((await machines.powerOn(powerOnOf(vm))).state, 'running')
  await machines.changePower(vm.vmId, { action: 'power-off', lease: 1 })
  assert.equal(await sha256Of(path), hash)
})
