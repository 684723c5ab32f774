import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { bootableSkip, GuestConsole, makeBootableDisk } from '@cryptvisor/testkit'
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

test('a guest boots from its encrypted disk, and what it writes is there after a power cycle and when all is decrypted', {
  skip: bootableSkip,
}, async (context) => {
  const host = new TestHost()
  context.after(async () => {
    await powerAllOff(host)
    await host[Symbol.asyncDispose]()
  })
  const image = join(host.root, 'boot.raw')
  await makeBootableDisk(image)
  const boot = readFileSync(image)
  const empty = await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
  const one = await host.done(importRequest(empty, boot.length), boot)
  const two = await host.done(importRequest(one, dataBytes), Buffer.alloc(dataBytes))
  const vm = await host.done(encryptAll(two, host.key))
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
