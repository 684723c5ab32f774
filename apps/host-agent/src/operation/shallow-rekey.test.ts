import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { payloadOffsetWrittenBytes } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { SeededRandom } from '@cryptvisor/testkit'
import { layerName } from '../disk/layer-file.ts'
import { DeviceVm } from '../testing/device-vm.ts'
import { simulatedHost } from '../testing/simulated-host.ts'
import { endOf, importRequest, TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll, sha256Of } from '../testing/test-vm.ts'
import type { JournalFile } from './journal.ts'
import { lockStateOf } from './lock-state.ts'

const newKey: KeyReference = { provider: 'kms', keyId: 'key-2' }

/** Both copies of a disk's key record, which end where its payload begins. */
const recordsStart = payloadOffsetWrittenBytes - 16_384

interface Prepared {
  readonly host: TestHost
  readonly before: VmAuthority
  readonly request: OperationRequest
}

/** An encrypted VM with two disks, on a host that holds both KEKs. */
async function prepare(host: TestHost): Promise<Prepared> {
  const plain = await host.plainVm()
  const two = await host.done(importRequest(plain, 65_536), Buffer.alloc(65_536, 7))
  const before = await host.done(encryptAll(two, host.key))
  host.keys.add(newKey, Secret.random(32))
  return { host, before, request: rekeyAll(before) }
}

function rekeyAll(vm: VmAuthority, key = newKey): OperationRequest {
  return { kind: 'shallow-rekey', vm, home: { key }, disks: vm.disks.map(({ diskId }) => ({ diskId, key })) }
}

async function stateOf({ host }: Prepared, vm: VmAuthority): Promise<string> {
  const { state, reason } = await lockStateOf(host.host(), vm)
  return reason?.code ?? state
}

function layersOf({ host }: Prepared, vm: VmAuthority): Buffer[] {
  return vm.disks.map((disk) => readFileSync(host.path(layerName(disk))))
}

/** Puts the key records of layers as they were into the layers as they are. */
function putRecords({ host }: Prepared, vm: VmAuthority, old: readonly Buffer[]): void {
  vm.disks.forEach((disk, index) => {
    const bytes = readFileSync(host.path(layerName(disk)))
    old[index]?.copy(bytes, recordsStart, recordsStart, payloadOffsetWrittenBytes)
    writeFileSync(host.path(layerName(disk)), bytes)
  })
}

/** Runs a rekey and leaves all as it was on disk right before its commit, or right after it. Gives the operation's ID. */
async function crash({ host, request }: Prepared, wanted: 'before the commit' | 'after the commit'): Promise<string> {
  const id = randomUUID()
  const snapshots: (() => void)[] = []
  let isCommitting = false
  await using operations = host.operations(async (what) => {
    const takes = wanted === 'before the commit' ? what === 'rename vm.json.new' : isCommitting
    if (takes && snapshots.length === 0) snapshots.push(host.snapshot())
    if (what === 'rename vm.json.new') isCommitting = true
  })
  operations.start(id, request)
  assert.equal((await endOf(operations, id)).state, 'done')
  const [restore] = snapshots
  assert.ok(restore !== undefined)
  restore()
  return id
}

test('a shallow rekey changes key records and nothing else', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before, request } = prepared
  const old = layersOf(prepared, before)
  const files = host.files()
  const after = await host.done(request)
  assert.deepEqual(after.encryption, { keys: [newKey], generation: 2, luksUuid: null })
  for (const [index, disk] of after.disks.entries()) {
    const was = before.disks[index]
    assert.deepEqual(disk, { ...was, encryption: { ...was?.encryption, keys: [newKey], generation: 3 } })
  }
  assert.deepEqual(host.files(), files)
  layersOf(prepared, after).forEach((bytes, index) => {
    const untouched = (layer: Buffer | undefined) =>
      layer === undefined ? [] : [layer.subarray(0, recordsStart), layer.subarray(payloadOffsetWrittenBytes)]
    const [head, payload] = untouched(bytes)
    const [oldHead, oldPayload] = untouched(old[index])
    assert.ok(oldHead !== undefined && oldPayload !== undefined)
    assert.ok(head?.equals(oldHead), 'header and key slots are as they were')
    assert.ok(payload?.equals(oldPayload), 'so is the payload')
    assert.ok(!bytes.includes('kms/key-1'), 'neither copy names the old KEK')
  })
  host.keys.remove(host.key)
  assert.equal(await stateOf(prepared, after), 'unlocked')
  const plain = await host.done(decryptAll(after))
  const [, second] = plain.disks
  assert.ok(second !== undefined)
  assert.deepEqual(readFileSync(host.path(layerName(second))), Buffer.alloc(65_536, 7))
})

test('one part is rekeyed and the others stay, again and again', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before } = prepared
  const [disk] = before.disks
  assert.ok(disk !== undefined)
  const hash = await sha256Of(host.path('vm.keysafe'))
  const { diskId } = disk
  const once = await host.done({ kind: 'shallow-rekey', vm: before, home: null, disks: [{ diskId, key: newKey }] })
  assert.equal(await sha256Of(host.path('vm.keysafe')), hash)
  assert.equal(await stateOf(prepared, once), 'unlocked')
  const back = await host.done({ kind: 'shallow-rekey', vm: once, home: null, disks: [{ diskId, key: host.key }] })
  assert.deepEqual(back.disks[0]?.encryption, { ...disk.encryption, generation: 5 })
  host.keys.remove(newKey)
  assert.equal(await stateOf(prepared, back), 'unlocked')
})

test('a rekey that cannot be is refused by name, and nothing changes', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before, request } = prepared
  const same = await host.run(rekeyAll(before, host.key))
  assert.match(same.error?.message ?? '', /VM Home|disk 0/)
  assert.equal(same.error?.code, 'refused')
  const unknown = await host.run(rekeyAll(before, { provider: 'kms', keyId: 'key-3' }))
  assert.equal(unknown.error?.code, 'key-not-held')
  assert.match(unknown.error?.message ?? '', /kms\/key-3/)
  host.keys.remove(host.key)
  const old = await host.run(request)
  assert.equal(old.error?.code, 'key-not-held')
  assert.match(old.error?.message ?? '', /kms\/key-1/)
  const plain = await host.plainVm(65_536, 'vm-2')
  const { error } = await host.run(rekeyAll(plain))
  assert.equal(error?.code, 'refused')
  assert.match(error?.message ?? '', /plain/)
})

test('before the commit it is undone without any key, and the old KEK opens all', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before, request } = prepared
  const old = layersOf(prepared, before)
  const id = await crash(prepared, 'before the commit')
  assert.ok(layersOf(prepared, before).every((bytes) => bytes.includes('kms/key-2')))
  assert.equal(await stateOf(prepared, before), 'unlocked', 'both copies of the old state open')
  const loan = host.keys.borrow(host.key)
  assert.ok(loan !== null)
  using kek = loan.kek.clone()
  loan[Symbol.dispose]()
  host.keys.remove(host.key)
  host.keys.remove(newKey)
  await using operations = host.operations()
  assert.equal((await operations.recover(id, request)).state, 'failed')
  assert.deepEqual(layersOf(prepared, before), old, 'it is as it was')
  assert.ok(!host.files().includes('vm.keysafe.next'))
  host.keys.add(host.key, kek.clone())
  assert.equal(await stateOf(prepared, before), 'unlocked')
})

test('with both KEKs it is gone on with; after the commit the new one is enough', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { request } = prepared
  const restore = host.snapshot()
  const early = await crash(prepared, 'before the commit')
  await using operations = host.operations()
  const { state, vm } = await operations.recover(early, request)
  assert.equal(state, 'done')
  assert.ok(vm !== null)
  assert.equal(await stateOf(prepared, vm), 'unlocked')
  restore()
  const late = await crash(prepared, 'after the commit')
  host.keys.remove(host.key)
  const finished = await operations.recover(late, request)
  assert.equal(finished.state, 'done')
  assert.ok(finished.vm !== null)
  assert.equal(await stateOf(prepared, finished.vm), 'unlocked')
  assert.ok(layersOf(prepared, finished.vm).every((bytes) => !bytes.includes('kms/key-1')))
})

test('after a rekey no earlier record opens anything: not the old one, nor the one of both KEKs', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before, request } = prepared
  const old = layersOf(prepared, before)
  copyFileSync(host.path('vm.keysafe'), `${host.root}/keysafe`)
  const id = await crash(prepared, 'before the commit')
  const both = layersOf(prepared, before)
  await using operations = host.operations()
  const { vm } = await operations.recover(id, request)
  assert.ok(vm !== null)
  const restore = host.snapshot()
  const assertLocked = async () => assert.equal(await stateOf(prepared, vm), 'record-refused')
  for (const records of [old, both]) {
    putRecords(prepared, vm, records)
    await assertLocked()
    restore()
  }
  copyFileSync(`${host.root}/keysafe`, host.path('vm.keysafe'))
  await assertLocked()
  restore()
  // Each in the other's place.
  putRecords(prepared, vm, layersOf(prepared, vm).toReversed())
  await assertLocked()
  restore()
  assert.equal(await stateOf(prepared, vm), 'unlocked')
})

test('one damaged copy is made good before the other is written, and by the rekey itself', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before } = prepared
  const restore = host.snapshot()
  for (const start of [recordsStart, recordsStart + 8192]) {
    restore()
    const [disk] = before.disks
    assert.ok(disk !== undefined)
    const bytes = readFileSync(host.path(layerName(disk)))
    bytes.fill(0xff, start + 512, start + 1024)
    writeFileSync(host.path(layerName(disk)), bytes)
    const id = await crash(prepared, 'before the commit')
    assert.equal(await stateOf(prepared, before), 'unlocked')
    await using operations = host.operations()
    const { vm } = await operations.recover(id, rekeyAll(before))
    assert.ok(vm !== null)
    assert.equal(await stateOf(prepared, vm), 'unlocked')
  }
})

test('undoing leaves a copy alone that it did not write', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before, request } = prepared
  const old = layersOf(prepared, before)
  const once = await host.done(request)
  const mixed = layersOf(prepared, once).map((bytes, index) => {
    const half = Buffer.from(bytes)
    old[index]?.copy(half, recordsStart + 8192, recordsStart + 8192, payloadOffsetWrittenBytes)
    return half
  })
  // Copy A is the newer one and counts; B is as before the rekey, as if a disk had lost its last write.
  putRecords(prepared, once, mixed)
  await using operations = host.operations()
  const { state } = await operations.recover(randomUUID(), rekeyAll(once, host.key))
  assert.equal(state, 'unknown')
  assert.deepEqual(layersOf(prepared, once), mixed)
  assert.equal(await stateOf(prepared, once), 'unlocked')
})

test('what becomes of the records between the commit and the end is made good out of the journal', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { before, request } = prepared
  const old = layersOf(prepared, before)
  const id = await crash(prepared, 'after the commit')
  const restore = host.snapshot()
  const tampers: (() => void)[] = [
    () => rmSync(host.path('vm.keysafe.next')),
    () => writeFileSync(host.path('vm.keysafe.next'), '{}'),
    () => copyFileSync(host.path('vm.keysafe'), host.path('vm.keysafe.next')),
    () => putRecords(prepared, before, old),
    () => putRecords(prepared, before, layersOf(prepared, before).toReversed()),
  ]
  for (const tamper of tampers) {
    restore()
    tamper()
    await using operations = host.operations()
    const { vm } = await operations.recover(id, request)
    assert.ok(vm !== null)
    assert.equal(await stateOf(prepared, vm), 'unlocked')
    assert.ok(!host.files().includes('vm.keysafe.next'))
  }
})

test('a committed rekey is not ended with a journal that somebody made', async () => {
  await using host = new TestHost()
  const prepared = await prepare(host)
  const { request } = prepared
  const id = await crash(prepared, 'after the commit')
  const journal = JSON.parse(readFileSync(host.path('journal.json'), 'utf8')) as JournalFile
  const { content } = journal
  const lies: JournalFile[] = [
    { ...journal, content: { ...content, records: content.records.toReversed() } },
    { ...journal, content: { ...content, records: content.records.slice(1) } },
    { ...journal, content: { ...content, direction: 'deep-rekey' } },
    { ...journal, content: { ...content, state: 'copying' } },
    { ...journal, hmac: 'f'.repeat(64) },
  ]
  const files = host.files().filter((name) => name !== 'journal.json')
  const hashes = async () => await Promise.all(files.map((name) => sha256Of(host.path(name))))
  const were = await hashes()
  await using operations = host.operations()
  for (const lie of lies) {
    writeFileSync(host.path('journal.json'), JSON.stringify(lie))
    await assert.rejects(operations.recover(id, request), { code: 'datastore-mismatch' })
    assert.deepEqual(await hashes(), were)
  }
  rmSync(host.path('journal.json'))
  await assert.rejects(operations.recover(id, request), { code: 'datastore-mismatch' })
  writeFileSync(host.path('journal.json'), JSON.stringify(journal))
  assert.equal((await operations.recover(id, request)).state, 'done')
})

test('a disk on a block device is rekeyed where it lies', async (context) => {
  using made = await DeviceVm.make(SeededRandom.of(context, 20_260_712), 65_536)
  await made.run(made.encrypt())
  made.keys.add(newKey, Secret.random(32))
  await made.run(rekeyAll(made.vm))
  made.keys.remove(made.key)
  const { state } = await lockStateOf(simulatedHost(made.storage, made.keys), made.vm)
  assert.equal(state, 'unlocked')
})
