import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import type { DiskAuthority, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { SeededRandom, type SimulatedStorage, type Survival } from '@cryptvisor/testkit'
import { layerName } from '../disk/layer-file.ts'
import { DeviceVm, devicePath } from '../testing/device-vm.ts'
import { datastorePath, runToEnd, simulatedHost, startedOperations } from '../testing/simulated-host.ts'
import { foreignVolume, rawContent, SimulatedVm } from '../testing/simulated-vm.ts'
import { TestHost } from '../testing/test-host.ts'
import { encryptAll } from '../testing/test-vm.ts'
import { backupDiskHeader } from './backup-header.ts'
import { lockStateOf } from './lock-state.ts'

const headerBytes = 2_097_152
const otherKey = { provider: 'kms', keyId: 'key-2' }

function diskOf(vm: VmAuthority): DiskAuthority {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return disk
}

function restoreRequest(vm: VmAuthority, backup: Uint8Array) {
  const { diskId } = diskOf(vm)
  return { kind: 'restore-header', vm, diskId, contentBytes: backup.length } satisfies OperationRequest
}

/** A VM, all of it encrypted, with the path of its first disk's layer and a backup of that one's header. */
async function encryptedVm(host: TestHost, folder = 'vm-1') {
  const vm = await host.done(encryptAll(await host.plainVm(131_072, folder), host.key))
  const backup = await backupDiskHeader(host.host(), { vm, diskId: diskOf(vm).diskId })
  return { vm, backup, path: host.path(layerName(diskOf(vm)), folder) }
}

function zeroHeader(path: string): void {
  const bytes = readFileSync(path)
  writeFileSync(path, bytes.fill(0, 0, headerBytes))
}

test('a header that was lost comes back, byte for byte, and the VM unlocks', async () => {
  await using host = new TestHost()
  const { vm, backup, path } = await encryptedVm(host)
  const whole = readFileSync(path)
  assert.ok(backup.subarray(512).equals(whole.subarray(0, headerBytes)))
  zeroHeader(path)
  assert.equal((await lockStateOf(host.host(), vm)).state, 'locked')
  const restored = await host.done(restoreRequest(vm, backup), backup)
  assert.deepEqual(restored, { ...vm, generation: vm.generation + 1 })
  assert.deepEqual(await lockStateOf(host.host(), restored), { state: 'unlocked', reason: null })
  assert.ok(readFileSync(path).equals(whole))
  const again = await host.done(restoreRequest(restored, backup), backup)
  assert.ok(readFileSync(path).equals(whole), 'one that is not damaged is restored too')
  assert.equal((await lockStateOf(host.host(), again)).state, 'unlocked')
})

test('a backup takes no key, and a header that is damaged makes none', async () => {
  await using host = new TestHost()
  const { vm, backup, path } = await encryptedVm(host)
  const { diskId } = diskOf(vm)
  host.keys.remove(host.key)
  assert.equal((await lockStateOf(host.host(), vm)).reason?.code, 'key-not-held')
  assert.ok((await backupDiskHeader(host.host(), { vm, diskId })).equals(backup))
  const whole = readFileSync(path)
  const refusals: [number, number, RegExp][] = [
    [0, 6, /LUKS/],
    [headerBytes - 16_384, headerBytes, /no key record/],
  ]
  for (const [start, end, text] of refusals) {
    writeFileSync(path, Buffer.from(whole).fill(0, start, end))
    await assert.rejects(backupDiskHeader(host.host(), { vm, diskId }), { code: 'refused', message: text })
  }
  await assert.rejects(backupDiskHeader(host.host(), { vm, diskId: 'none' }), { code: 'refused' })
})

test('a plain disk has no header, and one whose key record is a file says so', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm()
  await assert.rejects(backupDiskHeader(host.host(), { vm: plain, diskId: diskOf(plain).diskId }), /is plain/)
  const made = await SimulatedVm.encrypted(SeededRandom.of({ diagnostic: () => {} }, 1))
  using _keys = made.keys
  const bytes = await foreignVolume(rawContent(SeededRandom.of({ diagnostic: () => {} }, 2), 2), false)
  const disk = { diskId: randomUUID(), number: 2, mode: 'adopt', format: 'raw', policy: 'p', key: made.key } as const
  await made.make({ kind: 'import-volume', vm: made.vm, contentBytes: bytes.length, ...disk }, bytes)
  const backup = backupDiskHeader(simulatedHost(made.storage, made.keys), { vm: made.vm, diskId: disk.diskId })
  await assert.rejects(backup, { code: 'refused', message: /\.key.*deep rekey/ })
})

test('no backup but one of this very disk, as it is now, is written over its header', async () => {
  await using host = new TestHost()
  host.keys.add(otherKey, Secret.random(32))
  const { vm: before, backup: old, path } = await encryptedVm(host)
  const other = await encryptedVm(host, 'vm-2')
  const { diskId } = diskOf(before)
  const rekey = { home: null, disks: [{ diskId, key: otherKey }] }
  const vm = await host.done({ kind: 'shallow-rekey', vm: before, ...rekey })
  const backup = await backupDiskHeader(host.host(), { vm, diskId })
  zeroHeader(path)
  const whole = readFileSync(path)
  const flipped = Buffer.from(backup)
  flipped[5000] = (flipped[5000] ?? 0) ^ 1
  const cases: [string, Buffer, string, RegExp][] = [
    ['of another disk', other.backup, 'bad-image', /not of/],
    ['from before a rekey', old, 'refused', /generation 1, the disk is at 3/],
    ['with a flipped bit', flipped, 'bad-image', /checksum/],
    ['cut short', backup.subarray(0, -512), 'bad-image', /header backup holds/],
    ['without its preamble', backup.subarray(512), 'bad-image', /preamble/],
  ]
  for (const [name, content, code, text] of cases) {
    const { state, error } = await host.run(restoreRequest(vm, content), content)
    assert.deepEqual([state, error?.code], ['failed', code], `${name}: ${error?.message}`)
    assert.match(error?.message ?? '', text, name)
    assert.ok(readFileSync(path).equals(whole), `${name}: the disk is as it was`)
  }
  truncateSync(path, headerBytes + 512)
  const cut = await host.run(restoreRequest(vm, backup), backup)
  assert.equal(cut.error?.code, 'datastore-mismatch', cut.error?.message)
  assert.ok(readFileSync(path).equals(whole.subarray(0, headerBytes + 512)))
  writeFileSync(path, whole)
  host.keys.remove(otherKey)
  assert.equal((await host.run(restoreRequest(vm, backup), backup)).error?.code, 'key-not-held')
})

test('a key record that somebody else made is refused, though the backup is whole otherwise', async () => {
  await using host = new TestHost()
  const { vm, backup, path } = await encryptedVm(host)
  zeroHeader(path)
  host.keys.remove(host.key)
  host.keys.add(host.key, Secret.random(32))
  const { error } = await host.run(restoreRequest(vm, backup), backup)
  assert.equal(error?.code, 'refused', error?.message)
  assert.ok(readFileSync(path).subarray(0, headerBytes).equals(Buffer.alloc(headerBytes)))
})

test('content of another size than announced restores nothing', async () => {
  await using host = new TestHost()
  const { vm, backup, path } = await encryptedVm(host)
  zeroHeader(path)
  const request = { ...restoreRequest(vm, backup), contentBytes: backup.length + 1 }
  await using operations = host.operations()
  const id = randomUUID()
  operations.start(id, request)
  const { error } = await operations.content(id, Readable.from([backup]), null)
  assert.equal(error?.code, 'bad-image')
  assert.equal((await lockStateOf(host.host(), vm)).state, 'locked')
})

/** Writes over part of a file or device, durably. */
async function overwrite(storage: SimulatedStorage, path: string, bytes: Buffer): Promise<void> {
  await using stack = new AsyncDisposableStack()
  if (path === devicePath) {
    const device = stack.use(await storage.openDevice(path, 'write'))
    await device.write(bytes, 0)
    await device.sync()
    return
  }
  const at = path.lastIndexOf('/')
  const folder = await storage.openFolder(path.slice(0, at))
  assert.ok(folder !== null)
  stack.use(folder)
  const file = stack.use(await folder.openFile(path.slice(at + 1), 'write'))
  await file.write(bytes, 0)
  await file.sync()
}

test('a block device gets its header back', async (context) => {
  using made = await DeviceVm.make(SeededRandom.of(context, 4), 65_536)
  await made.run(made.encrypt())
  const { storage, keys, vm } = made
  const backup = await backupDiskHeader(simulatedHost(storage, keys), { vm, diskId: diskOf(vm).diskId })
  await overwrite(storage, devicePath, Buffer.alloc(headerBytes))
  await using operations = startedOperations(storage, keys)
  const { vm: restored, error } = await runToEnd(operations, randomUUID(), restoreRequest(vm, backup), backup)
  assert.ok(restored !== null, error?.message)
  await made.checkWhole(storage, restored)
})

test('cut at any write, the VM is locked or whole, and doing it again brings it back', async (context) => {
  const random = SeededRandom.of(context, 20_261_124)
  const made = await SimulatedVm.encrypted(random)
  using keys = made.keys
  const { storage, vm } = made
  const disk = diskOf(vm)
  const backup = await backupDiskHeader(simulatedHost(storage, keys), { vm, diskId: disk.diskId })
  await overwrite(storage, `${datastorePath}/${vm.folder}/${layerName(disk)}`, Buffer.alloc(headerBytes))
  const request = restoreRequest(vm, backup)
  const { checkWhole } = made.scenario('restore', request, backup)
  const recorded = storage.cut(storage.trace.length, 'everything')
  const start = recorded.trace.length
  const id = randomUUID()
  await using operations = startedOperations(recorded, keys)
  const { error } = await runToEnd(operations, id, request, backup)
  assert.equal(error, null)
  const states = new Set<string>()
  for (let at = start; at <= recorded.trace.length; at++) {
    const fates: readonly Survival[] = ['nothing', 'everything', random.fork()]
    for (const fate of fates) {
      const cut = recorded.cut(at, fate)
      await using agent = startedOperations(cut, keys)
      const recovered = await agent.recover(id, request)
      states.add(recovered.state)
      const now = recovered.vm ?? vm
      const locked = (await lockStateOf(simulatedHost(cut, keys), now)).state === 'locked'
      if (recovered.state === 'done') assert.ok(!locked, 'what is done is whole')
      const again = await runToEnd(agent, randomUUID(), restoreRequest(now, backup), backup)
      assert.ok(again.vm !== null, `${at}: ${again.error?.message}`)
      await checkWhole(cut, again.vm)
    }
  }
  assert.deepEqual([...states].toSorted(), ['done', 'unknown'])
})
