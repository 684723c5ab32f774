import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Vm } from '@cryptvisor/control-plane-api'
import { bootableSkip, GuestConsole, makeBootableDisk } from '@cryptvisor/testkit'
import { eventually, LabUnderTest } from './lab-under-test.ts'

const dataBytes = 1_048_576

/** The serial console of a VM, of a host whose agent is stopped. */
async function consoleOf(context: TestContext, lab: LabUnderTest, { id, host }: Vm): Promise<GuestConsole> {
  const socket = connect(lab.path(`${host}/run/${id}/console`))
  context.after(() => socket.destroy())
  await once(socket, 'connect')
  return new GuestConsole(socket)
}

/** The process that works in a folder. */
function pidIn(folder: string): number {
  const pid = readdirSync('/proc').find((name) => /^\d+$/.test(name) && workingFolderOf(name) === folder)
  if (pid === undefined) throw new Error(`nobody works in ${folder}`)
  return Number(pid)
}

function workingFolderOf(pid: string): string | null {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return null
  }
}

test('a VM is imported, encrypted and powered on; its guest writes while its host’s agent is away; it is powered off, decrypted, and holds what was written', {
  skip: bootableSkip,
}, async (context) => {
  const lab = await LabUnderTest.start(context)
  const [boot, data] = [lab.path('boot.img'), lab.path('data.img')]
  await makeBootableDisk(boot)
  writeFileSync(data, '')
  truncateSync(data, dataBytes)
  await lab.json('vm', 'import', 'db1', '--disk', boot, '--disk', data)
  await lab.json('vm', 'encrypt', 'db1')
  const powerOf = async (state: Vm['power']['state']) =>
    eventually(`db1 to be ${state}`, async () => {
      const vm = await lab.vm('db1')
      return vm.power.state === state ? vm : null
    })

  await lab.json('vm', 'power-on', 'db1')
  const running = await powerOf('running')
  assert.equal(running.power.acceleration, 'tcg')
  assert.match(running.power.qemu ?? '', /^\d+\.\d+/)
  const { host } = running
  assert.ok(host === 'host-a' || host === 'host-b')
  const refused = await lab.cryptvisor('vm', 'decrypt', 'db1')
  assert.equal(refused.exitCode, 1)
  assert.match(refused.stderr, /vm shut-down|vm power-off/)

  await lab.lab.stop(host)
  await powerOf('unknown')
  const guest = await consoleOf(context, lab, running)
  await guest.ready()
  await guest.run('dd if=/dev/urandom of=/dev/vdb bs=4k count=50 seek=9 conv=fsync')
  const [sum] = (await guest.run('md5sum /dev/vdb')).split(' ')
  await lab.lab.start(host)
  const again = await powerOf('running')
  assert.deepEqual(again.power.since, running.power.since)

  await lab.json('vm', 'pause', 'db1')
  await powerOf('paused')
  await lab.json('vm', 'resume', 'db1')
  await lab.json('vm', 'power-off', 'db1')
  await powerOf('off')
  await lab.json('vm', 'decrypt', 'db1')
  const exported = lab.path('out.img')
  await lab.json('disk', 'export', 'db1', '1', exported)
  assert.equal(createHash('md5').update(readFileSync(exported)).digest('hex'), sum)

  // A QEMU that is killed is told of without anybody asking.
  await lab.json('vm', 'power-on', 'db1')
  process.kill(pidIn(lab.path(`${host}/run/${running.id}`)), 'SIGKILL')
  const crashed = await powerOf('off')
  assert.match(crashed.power.reason ?? '', /QEMU was ended by SIGKILL/)
  assert.equal((await lab.events('--type', 'vm.crashed')).length, 1)
})
