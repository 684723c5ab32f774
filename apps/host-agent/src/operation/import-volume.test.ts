import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { layerName } from '../disk/layer-file.ts'
import {
  cryptsetupLuks1,
  cryptsetupLuks2,
  importVolume,
  qemuLuks1,
  sendVolume,
  volumeRequest,
} from '../testing/foreign-volume.ts'
import { TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'
import { Operations } from './operations.ts'

const mib = 1_048_576
const unlocked = { state: 'unlocked', reason: null }

/** The plaintext of the VM's last disk, by way of a decryption of all. */
async function contentOf(host: TestHost, vm: VmAuthority): Promise<Buffer> {
  const plain = vm.encryption === null ? vm : await host.done(decryptAll(vm))
  const disk = plain.disks.at(-1)
  assert.ok(disk !== undefined)
  return readFileSync(host.path(layerName(disk)))
}

async function encryptedVm(host: TestHost): Promise<VmAuthority> {
  return await host.done(encryptAll(await host.plainVm(65_536), host.key))
}

const luks2 = ['--pbkdf', 'argon2id', '--pbkdf-memory', '64', '--pbkdf-force-iterations', '4', '--sector-size']

for (const [name, make] of [
  ['LUKS1 of QEMU', qemuLuks1],
  ['LUKS1 of cryptsetup', cryptsetupLuks1],
  [
    'LUKS1 with aes-cbc-essiv',
    (folder, payload) => cryptsetupLuks1(folder, payload, '--cipher', 'aes-cbc-essiv:sha256', '--key-size', '256'),
  ],
  ['LUKS2 with Argon2 and 4096-byte sectors', (folder, payload) => cryptsetupLuks2(folder, payload, ...luks2, '4096')],
] satisfies [string, (folder: string, payload: Buffer) => Buffer][]) {
  test(`${name} is imported, encrypted anew, and holds what it held`, async () => {
    await using host = new TestHost()
    const vm = await encryptedVm(host)
    const payload = randomBytes(8 * mib)
    const volume = make(host.root, payload)
    const { state, vm: next, error } = await importVolume(host, volumeRequest(vm, volume.length, host.key), volume)
    assert.deepEqual([state, error], ['done', null])
    assert.ok(next !== null)
    assert.deepEqual(await lockStateOf(host.host(), next), unlocked)
    assert.ok(!host.files().some((file) => file.endsWith('.volume')), 'the volume that came is gone')
    assert.ok((await contentOf(host, next)).subarray(0, payload.length).equals(payload))
  })
}

test('a volume is laid down plain where no KEK is named, and thin where that is asked for', async () => {
  await using host = new TestHost()
  const payload = Buffer.concat([randomBytes(mib), Buffer.alloc(6 * mib), randomBytes(mib)])
  const volume = cryptsetupLuks1(host.root, payload)
  const plain = await importVolume(host, volumeRequest(await host.plainVm(), volume.length, null), volume)
  assert.ok(plain.vm !== null)
  assert.ok((await contentOf(host, plain.vm)).equals(payload))
  const encrypted = await host.done(encryptAll(plain.vm, host.key))
  const request = volumeRequest(encrypted, volume.length, host.key, { thin: true })
  const { vm } = await importVolume(host, request, volume)
  const disk = vm?.disks.at(-1)
  assert.ok(vm !== null && disk !== undefined)
  assert.deepEqual([disk.format, disk.virtualBytes], ['qcow2', payload.length])
  assert.ok(disk.payloadBytes < 3 * mib, 'zeros take no room')
  const image = join(host.root, 'thin.qcow2')
  writeFileSync(image, await contentOf(host, vm))
  const back = join(host.root, 'back.raw')
  assert.equal(spawnSync('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', image, back]).status, 0)
  assert.ok(readFileSync(back).equals(payload))
})

test('a qcow2 inside a volume is looked at like any other, and a raw disk must not look like one', async () => {
  await using host = new TestHost()
  const vm = await encryptedVm(host)
  const image = join(host.root, 'image.qcow2')
  assert.equal(spawnSync('qemu-img', ['create', '-f', 'qcow2', image, '16M']).status, 0)
  const payload = Buffer.concat([readFileSync(image), Buffer.alloc(mib)])
  const volume = cryptsetupLuks1(host.root, payload.subarray(0, mib))
  const raw = await importVolume(host, volumeRequest(vm, volume.length, host.key), volume)
  assert.equal(raw.error?.code, 'bad-image')
  assert.match(raw.error?.message ?? '', /qcow2/)
  const cut = Buffer.from(payload.subarray(0, mib))
  // The first entry of the L1 table names a cluster far behind the end.
  cut.writeBigUInt64BE(0x8000_0000_4000_0000n, Number(cut.readBigUInt64BE(40)))
  const damaged = cryptsetupLuks1(host.root, cut)
  const broken = volumeRequest(vm, damaged.length, host.key, { format: 'qcow2' })
  assert.equal((await importVolume(host, broken, damaged)).error?.code, 'bad-image')
  const { vm: next } = await importVolume(host, volumeRequest(vm, volume.length, host.key, { format: 'qcow2' }), volume)
  assert.deepEqual([next?.disks.at(-1)?.format, next?.disks.at(-1)?.virtualBytes], ['qcow2', 16 * mib])
  spawnSync('qemu-img', ['create', '-f', 'qcow2', '-F', 'raw', '-b', '/etc/hostname', image, '16M'])
  const backed = cryptsetupLuks1(host.root, Buffer.concat([readFileSync(image), Buffer.alloc(mib)]).subarray(0, mib))
  assert.ok(next !== null)
  const request = volumeRequest(next, backed.length, host.key, { format: 'qcow2' })
  const { error } = await importVolume(host, request, backed)
  assert.equal(error?.code, 'bad-image')
})

test('volumes are opened one after the other, whatever their headers ask for, and who waits can be cancelled', async () => {
  await using host = new TestHost()
  const vm = await encryptedVm(host)
  const volume = cryptsetupLuks1(host.root, randomBytes(mib))
  const agent = host.host()
  const turn = await agent.unlocking.enter(new AbortController().signal)
  await using operations = new Operations(agent, { info: () => {}, warn: () => {}, error: () => {} })
  for (const mode of ['import', 'adopt'] as const) {
    const id = randomUUID()
    // With a wrong passphrase it would fail as soon as it had its turn.
    const ended = sendVolume(operations, id, volumeRequest(vm, volume.length, host.key, { mode }), volume, 'another')
    while (!operations.status(id).step.startsWith('opening the volume')) await sleep(2)
    await sleep(300)
    assert.equal(operations.status(id).state, 'running')
    operations.cancel(id)
    assert.equal((await ended).error?.code, 'cancelled')
  }
  turn[Symbol.dispose]()
  const { state } = await sendVolume(operations, randomUUID(), volumeRequest(vm, volume.length, host.key), volume)
  assert.equal(state, 'done')
})

test('what is no whole volume, or does not open, is refused by name and leaves nothing', async () => {
  await using host = new TestHost()
  const vm = await encryptedVm(host)
  const volume = cryptsetupLuks1(host.root, randomBytes(mib))
  const files = host.files()
  const refusals: [string, Buffer, RegExp, string?][] = [
    ['wrong passphrase', volume, /passphrase/, 'another'],
    ['odd size', volume.subarray(0, volume.length - 100), /412 bytes that are no whole data unit/],
    ['no payload', volume.subarray(0, 2 * mib), /no payload/],
    ['cut off in its header', volume.subarray(0, mib), /ends/],
    ['no volume at all', randomBytes(mib), /not a LUKS volume|magic/],
  ]
  for (const mode of ['import', 'adopt'] as const) {
    for (const [what, bytes, message, passphrase] of refusals) {
      const request = volumeRequest(vm, bytes.length, host.key, { mode })
      const { state, error } = await importVolume(host, request, bytes, passphrase)
      assert.equal(state, 'failed', what)
      assert.match(error?.message ?? '', message, what)
      assert.notEqual(error?.code, 'internal', what)
      assert.deepEqual(host.files(), files, what)
      assert.deepEqual(await lockStateOf(host.host(), vm), unlocked)
    }
  }
})

test('a request that cannot be is refused before anything comes', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm()
  const ask = async (vm: VmAuthority, key: typeof host.key | null, more: object) =>
    (await host.run({ ...volumeRequest(vm, 4 * mib, key), ...more })).error?.code
  assert.equal(await ask(plain, host.key, {}), 'refused', 'an encrypted disk in a plain VM Home')
  assert.equal(await ask(plain, null, { mode: 'adopt' }), 'refused')
  assert.equal(await ask(plain, null, { thin: true }), 'refused')
  const vm = await host.done(encryptAll(plain, host.key))
  assert.equal(await ask(vm, host.key, { mode: 'adopt', thin: true }), 'refused')
  assert.equal(await ask(vm, { provider: 'kms', keyId: 'none' }, {}), 'key-not-held')
})

test('a passphrase comes once, before the content, and only where it is waited for', async () => {
  await using host = new TestHost()
  const vm = await encryptedVm(host)
  await using operations = host.operations()
  const id = randomUUID()
  operations.start(id, volumeRequest(vm, mib, host.key))
  const content = () => operations.content(id, Readable.from([Buffer.alloc(mib)]), mib)
  await assert.rejects(content(), { code: 'not-waiting-for-content', message: /passphrase of the volume comes before/ })
  using passphrase = Secret.from(Buffer.from('open sesame'))
  operations.passphrase(id, passphrase)
  assert.throws(() => operations.passphrase(id, passphrase), { code: 'not-waiting-for-content' })
  await content()
  assert.equal(operations.status(id).error?.code, 'refused', 'zeros are no volume')
  assert.throws(() => operations.passphrase(id, passphrase), { code: 'not-waiting-for-content' })
})

test('an import that was committed is told so after a crash, one that was not leaves nothing', async () => {
  await using host = new TestHost()
  const vm = await encryptedVm(host)
  const volume = cryptsetupLuks1(host.root, randomBytes(mib))
  for (const more of [{}, { mode: 'adopt' }, { thin: true }] as const) {
    const restoreAll = host.snapshot()
    const snapshots = new Map<string, () => void>()
    const request = volumeRequest(vm, volume.length, host.key, more)
    const id = randomUUID()
    const files = host.files()
    await using first = host.operations(async (what) => {
      if (what === 'rename vm.json.new') snapshots.set('before', host.snapshot())
      else if (snapshots.has('before') && !snapshots.has('after')) snapshots.set('after', host.snapshot())
    })
    const { vm: made, error } = await sendVolume(first, id, request, volume)
    assert.equal(error, null)
    await using operations = host.operations()
    snapshots.get('before')?.()
    assert.equal((await operations.recover(id, request)).state, 'failed')
    assert.deepEqual(host.files(), files)
    await operations.forget(id)
    snapshots.get('after')?.()
    const { vm: told, state } = await operations.recover(id, request)
    assert.equal(state, 'done')
    assert.deepEqual(told, made)
    restoreAll()
  }
})
