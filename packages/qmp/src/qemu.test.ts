import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createHeader, passphraseOf } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { qemuSkip, TestQemu, temporaryFolder } from '@cryptvisor/testkit'
import { connectQmp } from './connect-qmp.ts'
import { Features } from './features.ts'
import { MasterSecret } from './master-secret.ts'
import { Qmp } from './qmp.ts'
import { QmpError } from './qmp-error.ts'
import { eventNames } from './qmp-event.ts'
import { declaredCommands } from './testing/declared-commands.ts'
import { startWithMaster } from './testing/start-with-master.ts'

const none = ['-machine', 'none', '-S']
const q35 = ['-machine', 'q35', '-accel', 'tcg', '-m', '64', '-S']

const isRefused = (error: unknown) => error instanceof QmpError && error.code === 'refused'

test('a real QEMU greets, answers and tells why it refuses', { skip: qemuSkip }, async () => {
  await using qemu = await TestQemu.start(none)
  using qmp = await Qmp.open(qemu.monitor)
  assert.deepEqual((await qmp.execute('query-version')).qemu, qmp.greeting.version.qemu)
  assert.equal((await qmp.execute('query-status')).status, 'prelaunch')
  await assert.rejects(qmp.execute('blockdev-del', { 'node-name': 'nope' }), (error) => {
    assert.ok(error instanceof QmpError && error.qemuClass === 'GenericError')
    assert.match(error.message, /Failed to find node with node-name='nope'/)
    return true
  })
  const shutdown = qmp.event('SHUTDOWN', { timeoutMs: 20_000 })
  await qmp.execute('quit')
  assert.deepEqual((await shutdown).data, { guest: false, reason: 'host-qmp-quit' })
  assert.equal((await qmp.closed).code, 'closed')
  await qemu.ended()
})

test('every command and argument, and every event, that we have types for is QEMU’s', { skip: qemuSkip }, async () => {
  await using qemu = await TestQemu.start(none)
  using qmp = await Qmp.open(qemu.monitor)
  const features = await Features.of(qmp)
  const commands = await declaredCommands()
  assert.ok(commands.length > 80, `${commands.length} commands were found`)
  // What `device_add` and `object-add` take beside their names depends on the driver, and is in no schema or in a variant.
  const isOpen = (name: string) => name === 'device_add' || name === 'object-add' || name === 'block-export-add'
  for (const { name, arguments: given } of commands) {
    assert.ok(features.has(name), name)
    if (isOpen(name)) continue
    for (const argument of given) assert.ok(features.has(name, argument), `${name} ${argument}`)
  }
  assert.ok(commands.find(({ name }) => name === 'blockdev-mirror')?.arguments.includes('auto-finalize'))
  for (const name of eventNames) assert.ok(features.has(name), name)
  assert.ok(features.has('blockdev-add', 'luks', 'key-secret'))
  assert.ok(features.has('blockdev-mirror', 'copy-mode', 'write-blocking'))
  assert.ok(!features.has('blockdev-add', 'luks', 'key'))
})

test('what a machine, its disks and jobs are like is understood', { skip: qemuSkip }, async (context) => {
  await using qemu = await TestQemu.start([...q35, '-device', 'pcie-root-port,id=port0,chassis=1'])
  using qmp = await Qmp.open(qemu.monitor)
  const path = join(temporaryFolder(context), 'disk.raw')
  writeFileSync(path, '')
  truncateSync(path, 1_048_576)
  await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': 'disk', file: { driver: 'file', filename: path } })
  await qmp.execute('block-dirty-bitmap-add', { node: 'disk', name: 'since' })
  await qmp.execute('device_add', { driver: 'virtio-blk-pci', id: 'disk-device', drive: 'disk', bus: 'port0' })
  const [device] = await qmp.execute('query-block')
  assert.equal(device?.inserted?.['node-name'], 'disk')
  assert.equal(device.inserted['dirty-bitmaps']?.[0]?.name, 'since')
  const nodes = await qmp.execute('query-named-block-nodes', { flat: true })
  assert.deepEqual(nodes.map(({ drv }) => drv).toSorted(), ['file', 'raw'])
  const [bus] = await qmp.execute('query-pci')
  assert.ok(bus?.devices.some(({ pci_bridge }) => pci_bridge !== undefined))
  assert.equal((await qmp.execute('query-cpus-fast')).length, 1)
  assert.equal((await qmp.execute('query-memory-size-summary'))['base-memory'], 64 * 1_048_576)
  assert.deepEqual(await qmp.execute('query-kvm'), { enabled: false, present: true })
  assert.deepEqual(await qmp.execute('query-migrate'), {})
  assert.ok((await qmp.execute('query-migrate-capabilities')).length > 5)
  assert.equal(typeof (await qmp.execute('query-migrate-parameters'))['max-bandwidth'], 'number')
  assert.equal((await qmp.execute('query-dump')).status, 'none')
  assert.ok((await qmp.execute('query-blockstats', { 'query-nodes': true })).length > 0)
  assert.ok((await qmp.execute('qom-list', { path: '/machine' })).length > 0)
  assert.deepEqual(await qmp.execute('query-block-exports'), [])
  assert.deepEqual(await qmp.execute('query-iothreads'), [])
  assert.deepEqual(await qmp.execute('query-fdsets'), [])
  assert.ok((await qmp.execute('query-yank', undefined, { outOfBand: true })).length > 0)
  await qmp.execute('transaction', {
    actions: [{ type: 'block-dirty-bitmap-clear', data: { node: 'disk', name: 'since' } }],
  })
  await assert.rejects(qmp.execute('transaction', { actions: [{ type: 'abort', data: {} }] }), isRefused)
})

test('a disk is mirrored into LUKS, with a passphrase that nobody can ask for afterwards', {
  skip: qemuSkip,
}, async (context) => {
  const folder = temporaryFolder(context)
  const sizeBytes = 4 * 1_048_576
  const plain = join(folder, 'plain.raw')
  writeFileSync(plain, Buffer.alloc(sizeBytes, 0x33))
  const sealed = join(folder, 'sealed.luks')
  using dek = Secret.random(32)
  using passphrase = passphraseOf(dek)
  await formatLuks(sealed, sizeBytes, passphrase)
  using master = MasterSecret.create()
  await using qemu = await startWithMaster(none, master)
  using qmp = await Qmp.open(qemu.monitor)

  await qmp.execute('blockdev-add', { driver: 'raw', 'node-name': 'plain', file: { driver: 'file', filename: plain } })
  await qmp.addSecret({ id: 'key', masterId: 'master' }, passphrase, master)
  await qmp.execute('blockdev-add', {
    driver: 'luks',
    'node-name': 'sealed',
    'key-secret': 'key',
    file: { driver: 'file', filename: sealed },
  })
  await qmp.execute('object-del', { id: 'key' })
  await assert.rejects(qmp.execute('qom-get', { path: '/objects/key', property: 'data' }), isRefused)
  assert.doesNotMatch(JSON.stringify(await qmp.execute('qom-list', { path: '/objects' })), /"key"/)

  const start = qmp.mark()
  await qmp.execute('blockdev-mirror', {
    'job-id': 'mirror',
    device: 'plain',
    target: 'sealed',
    sync: 'full',
    'copy-mode': 'write-blocking',
    'auto-finalize': false,
    'auto-dismiss': false,
  })
  const isOurs = ({ data }: { data: { device: string } }) => data.device === 'mirror'
  await qmp.event('BLOCK_JOB_READY', { since: start, where: isOurs, timeoutMs: 20_000 })
  assert.equal((await qmp.execute('query-block-jobs'))[0]?.len, sizeBytes)
  await qmp.execute('block-job-complete', { device: 'mirror' })
  await qmp.event('BLOCK_JOB_PENDING', { since: start, where: ({ data }) => data.id === 'mirror', timeoutMs: 20_000 })
  assert.equal((await qmp.execute('query-jobs'))[0]?.status, 'pending')
  await qmp.execute('job-finalize', { id: 'mirror' })
  const completed = await qmp.event('BLOCK_JOB_COMPLETED', { since: start, where: isOurs, timeoutMs: 20_000 })
  assert.equal(completed.data.error, undefined)
  await qmp.execute('job-dismiss', { id: 'mirror' })
  assert.deepEqual(await qmp.execute('query-jobs'), [])

  const sealedNode = (await qmp.execute('query-named-block-nodes')).find((node) => node['node-name'] === 'sealed')
  assert.equal(sealedNode?.encrypted, true)
  await qmp.execute('human-monitor-command', { 'command-line': 'qemu-io sealed "read -P 0x33 0 4M"' })
  await qmp.execute('human-monitor-command', { 'command-line': 'qemu-io sealed "read -P 0x34 0 512"' })
  assert.match(qemu.output, /read 4194304\/4194304/)
  assert.equal(qemu.output.match(/Pattern verification failed/g)?.length, 1)
})

test('a wrong passphrase, a wrong master and a secret that is gone do not open a disk', {
  skip: qemuSkip,
}, async (context) => {
  const sealed = join(temporaryFolder(context), 'sealed.luks')
  using dek = Secret.random(32)
  using passphrase = passphraseOf(dek)
  using otherDek = Secret.random(32)
  using other = passphraseOf(otherDek)
  await formatLuks(sealed, 1_048_576, passphrase)
  using master = MasterSecret.create()
  using otherMaster = MasterSecret.create()
  await using qemu = await startWithMaster(none, master)
  using qmp = await Qmp.open(qemu.monitor)
  const opened = () =>
    qmp.execute('blockdev-add', {
      driver: 'luks',
      'node-name': 'sealed',
      'key-secret': 'key',
      file: { driver: 'file', filename: sealed },
    })
  await assert.rejects(opened(), /No secret with id 'key'/)
  await qmp.addSecret({ id: 'key', masterId: 'master' }, other, master)
  await assert.rejects(opened(), /Invalid password/)
  await qmp.execute('object-del', { id: 'key' })
  // It does not unpad, or becomes something that is no passphrase of this disk.
  const wrongly = qmp.addSecret({ id: 'key', masterId: 'master' }, passphrase, otherMaster).then(opened)
  await assert.rejects(wrongly, isRefused)
})

test('a QEMU outlives its connection, and the next one finds its jobs', { skip: qemuSkip }, async (context) => {
  const folder = temporaryFolder(context)
  const path = join(folder, 'monitor')
  await using _qemu = await TestQemu.start([
    ...none,
    ...['-chardev', `socket,id=server,path=${path},server=on,wait=off`, '-mon', 'chardev=server,mode=control'],
  ])
  {
    using qmp = await connectQmp(path)
    await qmp.execute('blockdev-add', { driver: 'null-co', 'node-name': 'from', size: 1_048_576, 'read-zeroes': true })
    await qmp.execute('blockdev-add', { driver: 'null-co', 'node-name': 'to', size: 1_048_576 })
    await qmp.execute('blockdev-mirror', { 'job-id': 'mirror', device: 'from', target: 'to', sync: 'full' })
    await assert.rejects(connectQmp(path, { greetingTimeoutMs: 50 }), /another client may have its monitor/)
  }
  using qmp = await connectQmp(path)
  for (;;) {
    const [job] = await qmp.execute('query-jobs')
    if (job?.status === 'ready') break
    assert.equal(job?.status, 'running')
  }
  await qmp.execute('quit')
  assert.equal((await qmp.closed).code, 'closed')
})

/** A LUKS volume whose payload was never written. */
async function formatLuks(path: string, sizeBytes: number, passphrase: Secret): Promise<void> {
  using volumeKey = Secret.random(64)
  const header = await createHeader({ volumeKey, passphrase, uuid: randomUUID() })
  writeFileSync(path, header)
  truncateSync(path, header.length + sizeBytes)
}
