import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { layerName } from '../disk/layer-file.ts'
import { TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll, newVm, sha256Of } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

const payloadOffset = 2_097_152

function cloneOf(
  source: VmAuthority,
  folder: string,
  key: KeyReference | null,
  dek: 'same' | 'new' = 'new',
): Extract<OperationRequest, { kind: 'clone-vm' }> {
  const disks = source.disks.map(({ diskId }) => ({ sourceDiskId: diskId, diskId: randomUUID(), key, dek }))
  return { kind: 'clone-vm', vm: newVm(source.datastorePath, folder), source, home: { key }, disks }
}

function diskOf(vm: VmAuthority) {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return disk
}

async function contentOf(host: TestHost, vm: VmAuthority): Promise<string> {
  const plain = vm.encryption === null ? vm : await host.done(decryptAll(vm))
  return await sha256Of(host.path(layerName(diskOf(plain)), plain.folder))
}

test('a clone with new keys shares nothing with its source but the bytes of the disk', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm(3_000_320)
  const content = await contentOf(host, plain)
  const source = await host.done(encryptAll(plain, host.key))
  const newKey: KeyReference = { provider: 'kms', keyId: 'key-2' }
  host.keys.add(newKey, Secret.random(32))
  const files = host.files()
  const clone = await host.done(cloneOf(source, 'vm-2', newKey))
  assert.deepEqual(host.files(), files)
  assert.deepEqual([clone.generation, clone.encryption?.keys, diskOf(clone).encryption?.keys], [1, [newKey], [newKey]])
  const [one, other] = [source, clone].map((vm) => readFileSync(host.path(layerName(diskOf(vm)), vm.folder)))
  assert.ok(one !== undefined && other !== undefined)
  assert.equal(one.length, other.length)
  assert.ok(!one.subarray(payloadOffset).equals(other.subarray(payloadOffset)))
  for (const vm of [source, clone]) {
    assert.deepEqual(await lockStateOf(host.host(), vm), { state: 'unlocked', reason: null })
  }
  assert.equal(await contentOf(host, clone), content)
  assert.equal(await contentOf(host, source), content)
})

test('a clone with the same keys has the same ciphertext under a header of its own', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm(1_000_448)
  const content = await contentOf(host, plain)
  const source = await host.done(encryptAll(plain, host.key))
  const clone = await host.done(cloneOf(source, 'vm-2', host.key, 'same'))
  const [one, other] = [source, clone].map((vm) => readFileSync(host.path(layerName(diskOf(vm)), vm.folder)))
  assert.ok(one !== undefined && other !== undefined)
  assert.ok(one.subarray(payloadOffset).equals(other.subarray(payloadOffset)))
  assert.notEqual(diskOf(source).encryption?.luksUuid, diskOf(clone).encryption?.luksUuid)
  assert.equal(diskOf(clone).payloadBytes, 1_000_448)
  assert.equal((await host.run({ kind: 'delete-vm', vm: source })).state, 'done')
  assert.equal(await contentOf(host, clone), content)
})

test('a plain VM is cloned plain, or encrypted', async () => {
  await using host = new TestHost()
  const source = await host.plainVm()
  const content = await contentOf(host, source)
  const plain = await host.done(cloneOf(source, 'vm-2', null, 'same'))
  assert.equal(plain.encryption, null)
  const encrypted = await host.done(cloneOf(source, 'vm-3', host.key))
  assert.deepEqual(diskOf(encrypted).encryption?.keys, [host.key])
  for (const vm of [plain, encrypted]) assert.equal(await contentOf(host, vm), content)
})

test('what cannot be cloned is refused, and nothing is left of it', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm()
  const encrypted = await host.done(encryptAll(plain, host.key))
  const request = cloneOf(encrypted, 'vm-2', host.key)
  const [disk] = request.disks
  assert.ok(disk !== undefined)
  const changes: readonly (readonly [Partial<typeof request>, RegExp])[] = [
    [{ home: { key: null } }, /encrypted VM Home/],
    [{ disks: [{ ...disk, key: null }] }, /does not decrypt/],
    [{ disks: [disk, { ...disk, diskId: randomUUID() }] }, /named twice/],
    [{ disks: [{ ...disk, sourceDiskId: 'missing' }] }, /no disk missing/],
    [{ vm: { ...request.vm, vmId: encrypted.vmId } }, /another VM/],
    [{ vm: { ...request.vm, folder: encrypted.folder } }, /exists already/],
  ]
  for (const [change, text] of changes) {
    const { error } = await host.run({ ...request, ...change })
    assert.equal(error?.code, 'refused')
    assert.match(error.message, text)
  }
  assert.throws(() => host.files('vm-2'), { code: 'ENOENT' })
})
