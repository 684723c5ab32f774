import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createHeader, passphraseOf } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import {
  GuestConsole,
  guestFiles,
  guestSkip,
  memoryScanSkip,
  memoryTraces,
  processTraces,
  qemuSkip,
  temporaryFolder,
} from '@cryptvisor/testkit'
import { AgentError } from '../agent-error.ts'
import { descriptorTools } from '../storage/descriptor-tools.ts'
import { type MachineDescription, portName, runFiles } from './machine-description.ts'
import { isAlive, processesIn } from './process-identity.ts'
import { QemuProcess, type QemuStart } from './qemu-process.ts'
import { SecretHandover } from './secret-handover.ts'

const small = (changes: Partial<MachineDescription> = {}): MachineDescription => ({
  vmId: randomUUID(),
  memoryMib: 64,
  cpuCount: 1,
  acceleration: 'tcg',
  portCount: 2,
  lockMemory: false,
  ...changes,
})

async function start(context: TestContext, changes: Partial<QemuStart> = {}) {
  const runFolder = changes.runFolder ?? join(temporaryFolder(context), 'run')
  const started = await QemuProcess.start({ description: small(), ...changes, runFolder })
  context.after(async () => {
    started.qmp.close()
    await started.process.kill()
  })
  return started
}

test('a machine starts with its guest held, in a folder of its own, and gives nothing away', {
  skip: qemuSkip,
}, async (context) => {
  const { process: qemu, qmp } = await start(context)
  assert.equal((await qmp.execute('query-status')).status, 'prelaunch')
  assert.ok(qemu.isAlive())
  assert.equal(statSync(qemu.runFolder).mode & 0o777, 0o700)
  assert.equal(statSync(join(qemu.runFolder, runFiles.log)).mode & 0o777, 0o600)
  assert.match(readFileSync(`/proc/${qemu.pid}/limits`, 'utf8'), /^Max core file size +0 +0 /m)
  // Every thread of it filters its system calls.
  const statuses = readdirSync(`/proc/${qemu.pid}/task`).map((id) =>
    readFileSync(`/proc/${qemu.pid}/task/${id}/status`, 'utf8'),
  )
  for (const status of statuses) assert.match(status, /^Seccomp:\t2$/m)
  // It has its own session: who ends the agent's process group does not end it.
  assert.notEqual(readFileSync(`/proc/${qemu.pid}/stat`, 'latin1').split(' ')[5], String(process.pid))
  qmp.close()
  await qemu.kill()
  assert.ok(!qemu.isAlive())
  assert.deepEqual(await qemu.ended(), { exitCode: null, signal: 'SIGKILL' })
})

test('as many disks as there are ports can be plugged in while it runs', { skip: qemuSkip }, async (context) => {
  const { qmp } = await start(context, { description: small({ portCount: 20 }) })
  for (const index of [0, 7, 8, 19]) {
    await qmp.execute('blockdev-add', { driver: 'null-co', 'node-name': `disk${index}`, size: 1_048_576 })
    const device = { driver: 'virtio-blk-pci', id: `device${index}`, drive: `disk${index}`, bus: portName(index) }
    await qmp.execute('device_add', device)
  }
  assert.equal((await qmp.execute('query-block')).length, 4)
})

test('what does not start says why, in QEMU’s own words, and leaves nothing', { skip: qemuSkip }, async (context) => {
  const runFolder = temporaryFolder(context)
  const failing = start(context, { runFolder, description: small({ memoryMib: 1_000_000_000 }) })
  await assert.rejects(failing, (error) => {
    assert.ok(error instanceof AgentError && error.code === 'machine-failed')
    assert.match(error.message, /QEMU does not start: .*(memory|mem)/i)
    return true
  })
  assert.deepEqual(processesIn(runFolder), [])
  await assert.rejects(start(context, { command: 'no-such-qemu' }), /machine-failed|No such file/)
  for (const bad of [{ vmId: 'x,server=on' }, { memoryMib: 0.5 }, { cpuCount: 0 }, { portCount: 65 }]) {
    const refused = start(context, { description: small(bad) })
    await assert.rejects(refused, (error) => error instanceof AgentError && error.code === 'refused')
  }
})

test('a guest runs in it, and what it does to its machine is told', { skip: guestSkip }, async (context) => {
  const runFolder = join(temporaryFolder(context), 'run')
  const description = small({ memoryMib: 128, directBoot: await guestFiles() })
  const { process: qemu, qmp } = await start(context, { runFolder, description })
  const console = connect(join(runFolder, runFiles.console))
  await once(console, 'connect')
  const guest = new GuestConsole(console)
  await qmp.execute('cont')
  await guest.ready()
  assert.equal(await guest.run('cat /sys/class/dmi/id/product_uuid'), description.vmId)
  const since = qmp.mark()
  guest.tryRun('poweroff -f').catch(() => undefined)
  const { data } = await qmp.event('SHUTDOWN', { since, timeoutMs: 30_000 })
  assert.deepEqual(data, { guest: true, reason: 'guest-shutdown' })
  assert.deepEqual(await qemu.ended(), { exitCode: 0, signal: null })
})

test('its VM’s lock ends with it, not with us', { skip: qemuSkip }, async (context) => {
  const path = join(temporaryFolder(context), 'vm.lock')
  writeFileSync(path, '')
  const lock = await open(path, 'r+')
  assert.ok(await descriptorTools.lock(lock.fd))
  const { process: qemu } = await start(context, { kept: [lock.fd] })
  await lock.close()
  await using other = await open(path, 'r+')
  assert.ok(!(await descriptorTools.lock(other.fd)))
  await qemu.kill()
  assert.ok(await descriptorTools.lock(other.fd))
})

test('an agent that was killed while a disk was opened is followed by one that finds all', {
  skip: qemuSkip,
}, async (context) => {
  const runFolder = join(temporaryFolder(context), 'run')
  assert.equal(await QemuProcess.find(runFolder), null)
  const agent = spawn(process.execPath, [join(import.meta.dirname, '../testing/forsaken-machine.ts'), runFolder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  context.after(() => agent.kill('SIGKILL'))
  const [said] = await once(agent.stdout, 'data')
  agent.kill('SIGKILL')
  await once(agent, 'exit')

  const qemu = await QemuProcess.find(runFolder)
  assert.ok(qemu !== null)
  context.after(() => qemu.kill())
  assert.equal(qemu.pid, Number(String(said)))
  assert.ok(isAlive(qemu.identity))
  assert.ok(!isAlive({ ...qemu.identity, startTime: '1' }), 'a number that was used again is not taken for it')
  using qmp = await qemu.connect()
  assert.equal((await qmp.execute('query-status')).status, 'prelaunch')
  const handover = new SecretHandover(qemu.pid, qmp)
  const secrets = async () => (await qmp.execute('qom-list', { path: '/objects' })).map(({ name }) => name)
  assert.ok((await secrets()).includes('key'))
  await handover.takeBackAll()
  assert.ok(!(await secrets()).some((name) => name === 'key' || name.startsWith('master')))
  await openLuks(context, handover, qmp)

  const ended = qemu.ended()
  await qmp.execute('quit')
  assert.deepEqual(await ended, { exitCode: null, signal: null })
  assert.equal(await QemuProcess.find(runFolder), null)
})

test('a passphrase is in QEMU while its disk is opened, and not a moment longer', {
  skip: qemuSkip || memoryScanSkip,
}, async (context) => {
  const { process: qemu, qmp } = await start(context)
  const handover = new SecretHandover(qemu.pid, qmp)
  const dek = await openLuks(context, handover, qmp)
  const inMemory = () => memoryTraces(qemu.pid, dek.subarray(dek.length / 2))
  assert.equal(inMemory(), 0)
  assert.deepEqual(processTraces(qemu.pid, dek), [])
  using passphrase = passphraseOf(Secret.from(Buffer.from(dek)))
  await handover.lend({ key: passphrase }, async () => assert.ok(inMemory() > 0, 'what is there is found'))
  const failed = handover.lend({ key: passphrase }, async () => {
    await qmp.execute('blockdev-add', { driver: 'luks', 'node-name': 'no', 'key-secret': 'key', file: 'not-there' })
  })
  await assert.rejects(failed, /not-there/)
  assert.equal(inMemory(), 0)
  // Two at a time wait for each other, and see the same.
  await Promise.all([1, 2].map(() => handover.lend({ key: passphrase }, async () => assert.ok(inMemory() > 0))))
  assert.equal(inMemory(), 0)
})

/** Opens a new LUKS disk with a passphrase lent to QEMU; returns its DEK. */
async function openLuks(
  context: TestContext,
  handover: SecretHandover,
  qmp: Awaited<ReturnType<QemuProcess['connect']>>,
): Promise<Buffer> {
  using dek = Secret.random(32)
  using passphrase = passphraseOf(dek)
  using volumeKey = Secret.random(64)
  const path = join(temporaryFolder(context), 'disk.luks')
  const header = await createHeader({ volumeKey, passphrase, uuid: randomUUID() })
  writeFileSync(path, header)
  truncateSync(path, header.length + 1_048_576)
  await handover.lend({ key: passphrase }, () =>
    qmp.execute('blockdev-add', {
      driver: 'luks',
      'node-name': 'disk',
      'key-secret': 'key',
      file: { driver: 'file', filename: path },
    }),
  )
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true })
  assert.ok(nodes.find((node) => node['node-name'] === 'disk')?.encrypted)
  return dek.expose((bytes) => Buffer.from(bytes))
}
