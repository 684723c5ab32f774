import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { DiskAuthority, KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { parseHeader, recordPlaceOf } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { keyName, layerName, luksName } from '../disk/layer-file.ts'
import { cryptsetupLuks1, cryptsetupLuks2, importVolume, qemuLuks1, volumeRequest } from '../testing/foreign-volume.ts'
import { endOf, TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll, newVm } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

const mib = 1_048_576
const unlocked = { state: 'unlocked', reason: null }
const newKey: KeyReference = { provider: 'kms', keyId: 'key-2' }

interface Adopted {
  readonly vm: VmAuthority
  readonly disk: DiskAuthority
  readonly payload: Buffer
}

/** A VM with a disk that was adopted out of a volume of `make`. */
async function adopt(host: TestHost, make: (folder: string, payload: Buffer) => Buffer): Promise<Adopted> {
  const before = await host.done(encryptAll(await host.plainVm(65_536), host.key))
  const payload = randomBytes(mib + 512)
  const volume = make(host.root, payload)
  const { vm, error } = await importVolume(
    host,
    volumeRequest(before, volume.length, host.key, { mode: 'adopt' }),
    volume,
  )
  assert.equal(error, null)
  const disk = vm?.disks.at(-1)
  assert.ok(vm !== null && disk !== undefined)
  host.keys.add(newKey, Secret.random(32))
  return { vm, disk, payload }
}

/** Its content, by way of a decryption, in the beginning of which it must be. */
async function assertHolds(host: TestHost, vm: VmAuthority, payload: Buffer): Promise<void> {
  const plain = await host.done(decryptAll(vm))
  const disk = plain.disks.at(-1)
  assert.ok(disk !== undefined)
  const bytes = readFileSync(host.path(layerName(disk)))
  assert.ok(bytes.subarray(0, payload.length).equals(payload))
  assert.deepEqual(
    host.files().filter((name) => name.endsWith('.key') || name.endsWith('.luks')),
    [],
    'nothing of the encrypted layers is left',
  )
}

const rekey = (vm: VmAuthority, kind: 'shallow-rekey' | 'deep-rekey'): OperationRequest => ({
  kind,
  vm,
  home: { key: newKey },
  disks: vm.disks.map(({ diskId }) => ({ diskId, key: newKey })),
})

for (const [name, make, place] of [
  ['QEMU', qemuLuks1, 'file'],
  ['cryptsetup', cryptsetupLuks1, 'header'],
  ['cryptsetup with 128-bit AES', (folder, payload) => cryptsetupLuks1(folder, payload, '--key-size', '256'), 'header'],
  [
    'cryptsetup with a payload that no page divides',
    (folder, payload) => cryptsetupLuks1(folder, payload, '--align-payload', '4001'),
    'header',
  ],
  [
    'cryptsetup with a header of 16 MiB',
    (folder, payload) => cryptsetupLuks1(folder, payload, '--align-payload', '32768'),
    'header',
  ],
] satisfies [string, (folder: string, payload: Buffer) => Buffer, 'file' | 'header'][]) {
  test(`a volume of ${name} is adopted where it is, rekeyed and decrypted`, async () => {
    await using host = new TestHost()
    const { vm, disk, payload } = await adopt(host, make)
    const header = parseHeader(readFileSync(host.path(luksName(disk.layerId))))
    assert.equal(recordPlaceOf(header), place)
    assert.equal(existsSync(host.path(keyName(disk.layerId))), place === 'file')
    assert.equal(header.uuid, disk.encryption?.luksUuid)
    assert.equal(header.keySlots.filter(({ active }) => active).length, 1)
    assert.deepEqual(await lockStateOf(host.host(), vm), unlocked)
    const rekeyed = await host.done(rekey(vm, 'shallow-rekey'))
    assert.deepEqual(await lockStateOf(host.host(), rekeyed), unlocked)
    await assertHolds(host, rekeyed, payload)
  })
}

test('a deep rekey of an adopted disk makes a layer of ours of it', async () => {
  await using host = new TestHost()
  const { vm, payload } = await adopt(host, qemuLuks1)
  const next = await host.done(rekey(vm, 'deep-rekey'))
  assert.equal(next.disks.at(-1)?.encryption?.luksUuid, next.disks.at(-1)?.layerId)
  assert.ok(!host.files().some((name) => name.endsWith('.key')))
  await assertHolds(host, next, payload)
})

test('a key record beside its disk is believed as little as one inside', async () => {
  await using host = new TestHost()
  const { vm, disk } = await adopt(host, qemuLuks1)
  const path = host.path(keyName(disk.layerId))
  const old = `${host.root}/old`
  copyFileSync(path, old)
  const next = await host.done(rekey(vm, 'shallow-rekey'))
  const current = readFileSync(path)
  const assertLocked = async (what: string) =>
    assert.equal((await lockStateOf(host.host(), next)).state, 'locked', what)
  copyFileSync(old, path)
  await assertLocked('the old record')
  copyFileSync(host.path('vm.keysafe'), path)
  await assertLocked('VM Home’s')
  writeFileSync(path, Buffer.concat([current, Buffer.alloc(8192, 32)]))
  await assertLocked('too much')
  rmSync(path)
  await assertLocked('none')
  writeFileSync(path, current)
  assert.deepEqual(await lockStateOf(host.host(), next), unlocked)
})

test('a key record beside its disk that vanishes during a rekey is made good out of the journal', async () => {
  await using host = new TestHost()
  const { vm, disk } = await adopt(host, qemuLuks1)
  let isCommitting = false
  await using operations = host.operations(async (what) => {
    if (isCommitting) rmSync(host.path(keyName(disk.layerId)), { force: true })
    isCommitting = what === 'rename vm.json.new'
  })
  const id = randomUUID()
  operations.start(id, rekey(vm, 'shallow-rekey'))
  const { state, vm: next } = await endOf(operations, id)
  assert.equal(state, 'done')
  assert.ok(next !== null)
  assert.deepEqual(await lockStateOf(host.host(), next), unlocked)
})

test('deleting a VM removes the key record beside its disk', async () => {
  await using host = new TestHost()
  const { vm } = await adopt(host, qemuLuks1)
  assert.equal((await host.run({ kind: 'delete-vm', vm })).state, 'done')
  assert.ok(!existsSync(host.path('')))
})

test('what cannot be adopted is refused by its reason, and nothing is left', async () => {
  await using host = new TestHost()
  const { vm, payload } = await adopt(host, cryptsetupLuks1)
  const files = host.files()
  const refused = async (volume: Buffer, message: RegExp) => {
    const { error } = await importVolume(host, volumeRequest(vm, volume.length, host.key, { mode: 'adopt' }), volume)
    assert.equal(error?.code, 'refused')
    assert.match(error?.message ?? '', message)
    assert.deepEqual(host.files(), files)
  }
  await refused(cryptsetupLuks2(host.root, Buffer.alloc(mib), '--pbkdf', 'pbkdf2'), /imported|LUKS2|version 2/)
  await refused(cryptsetupLuks1(host.root, payload, '--cipher', 'aes-cbc-essiv:sha256', '--key-size', '256'), /import/)
  const uuid = vm.disks.at(-1)?.encryption?.luksUuid ?? ''
  await refused(cryptsetupLuks1(host.root, payload, '--uuid', uuid), /has LUKS UUID .* already/)
})

/** A clone of all of a VM. */
function cloneOf(host: TestHost, source: VmAuthority, dek: 'same' | 'new') {
  const disks = source.disks.map(({ diskId }) => ({ sourceDiskId: diskId, diskId: randomUUID(), key: newKey, dek }))
  const vm = newVm(host.datastore, `clone-${dek}`)
  return { kind: 'clone-vm', vm, source, home: { key: newKey }, disks } satisfies OperationRequest
}

test('an adopted disk is cloned with its DEK or a new one', async () => {
  await using host = new TestHost()
  const { vm, payload } = await adopt(host, cryptsetupLuks1)
  for (const dek of ['same', 'new'] as const) {
    const made = await host.done(cloneOf(host, vm, dek))
    assert.deepEqual(await lockStateOf(host.host(), made), unlocked)
    const plain = await host.done(decryptAll(made))
    const disk = plain.disks.at(-1)
    assert.ok(disk !== undefined)
    assert.ok(readFileSync(host.path(layerName(disk), made.folder)).equals(payload), dek)
  }
})

test('a volume key of AES-128 is not taken over into a layer of ours', async () => {
  await using host = new TestHost()
  const { vm } = await adopt(host, (folder, bytes) => cryptsetupLuks1(folder, bytes, '--key-size', '256'))
  const { error } = await host.run(cloneOf(host, vm, 'same'))
  assert.equal(error?.code, 'refused')
  assert.match(error?.message ?? '', /AES-128.*new DEK/)
  assert.equal((await host.run(cloneOf(host, vm, 'new'))).state, 'done')
})
