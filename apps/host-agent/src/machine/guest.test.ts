import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { bootableSkip, GuestConsole, makeBootableDisk, memoryScanSkip } from '@cryptvisor/testkit'
import { plainName } from '../disk/layer-file.ts'
import { importRequest, TestHost } from '../testing/test-host.ts'
import { openMachines, powerAllOff, powerOnOf, until } from '../testing/test-machines.ts'
import { decryptAll, details, encryptAll, newVm } from '../testing/test-vm.ts'
import { runFiles } from './machine-description.ts'

const dataBytes = 4 * 1_048_576

/** The console of a guest that no agent listens to. */
async function consoleOf(context: TestContext, host: TestHost, { vmId }: VmAuthority): Promise<GuestConsole> {
  const socket = connect(join(host.root, 'run', vmId, runFiles.console))
  context.after(() => socket.destroy())
  await once(socket, 'connect')
  return new GuestConsole(socket)
}

/** With `mounted`, the datastore is a mount of the test's own. */
async function newHost(context: TestContext, mounted = false): Promise<TestHost> {
  const host = new TestHost()
  context.after(async () => {
    await powerAllOff(host)
    if (mounted) execFileSync('umount', ['--lazy', host.datastore])
    await host[Symbol.asyncDispose]()
  })
  return host
}

/** A plain VM that boots, with a second disk of zeros. */
async function bootingVm(host: TestHost, bytes: number): Promise<{ vm: VmAuthority; boot: Buffer }> {
  const image = join(host.root, 'boot.raw')
  await makeBootableDisk(image)
  const boot = readFileSync(image)
  const empty = await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
  const one = await host.done(importRequest(empty, boot.length), boot)
  return { vm: await host.done(importRequest(one, bytes), Buffer.alloc(bytes)), boot }
}

test('a guest boots from its encrypted disk, and what it writes is there after a power cycle and when all is decrypted', {
  skip: bootableSkip,
}, async (context) => {
  const host = await newHost(context)
  const { vm: plainVm, boot } = await bootingVm(host, dataBytes)
  const vm = await host.done(encryptAll(plainVm, host.key))
  const start = async (lease: number) => {
    await using machines = await openMachines(host)
    await machines.powerOn(powerOnOf(vm, lease))
  }
  const sumOf = async (guest: GuestConsole) => (await guest.run('md5sum /dev/vdb')).split(' ')[0]

  await start(1)
  const first = await consoleOf(context, host, vm)
  await first.ready()
  await first.run('dd if=/dev/urandom of=/dev/vdb bs=64k count=20 seek=7 conv=fsync')
  const sum = await sumOf(first)
  {
    await using machines = await openMachines(host)
    await machines.changePower(vm.vmId, { action: 'power-off', lease: 1 })
  }

  await start(2)
  const second = await consoleOf(context, host, vm)
  await second.ready()
  assert.equal(await sumOf(second), sum)
  second.tryRun('poweroff -f').catch(() => undefined)
  // While no agent looks; the next one knows that it was no crash.
  await using machines = await openMachines(host)
  await until(() => machines.statuses[0]?.state === 'off')
  assert.deepEqual([machines.statuses[0]?.ended, machines.statuses[0]?.reason], ['guest', 'its guest shut down'])

  const plain = await host.done(decryptAll(vm))
  const data = readFileSync(host.path(plainName(plain.disks[1]?.layerId ?? '', 'raw')))
  assert.equal(createHash('md5').update(data).digest('hex'), sum)
  assert.ok(readFileSync(host.path(plainName(plain.disks[0]?.layerId ?? '', 'raw'))).equals(boot))
})

test('a guest whose datastore is full is held, told of, and goes on without an error when there is room', {
  skip: bootableSkip || memoryScanSkip,
}, async (context) => {
  const host = await newHost(context, true)
  const mount = (...args: string[]) => execFileSync('mount', [...args, host.datastore])
  mount('-t', 'tmpfs', '-o', 'size=64m', 'tmpfs')
  const { vm } = await bootingVm(host, 16 * 1_048_576)
  execFileSync('fallocate', ['--dig-holes', host.path(plainName(vm.disks[1]?.layerId ?? '', 'raw'))])
  mount('-o', 'remount,size=26m')
  {
    await using machines = await openMachines(host)
    await machines.powerOn(powerOnOf(vm))
  }
  const guest = await consoleOf(context, host, vm)
  await guest.ready()
  await using machines = await openMachines(host)
  const written = guest.run('dd if=/dev/urandom of=/dev/vdb bs=64k count=200 conv=fsync')
  await until(() => machines.statuses[0]?.state === 'failed')
  assert.equal(machines.statuses[0]?.reason, 'disk 1 cannot be written: its datastore is full')
  mount('-o', 'remount,size=64m')
  assert.equal((await machines.changePower(vm.vmId, { action: 'resume', lease: 1 })).state, 'running')
  await written
  await machines.changePower(vm.vmId, { action: 'power-off', lease: 1 })
})
