import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Encrypt, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { SimulatedStorage } from '@cryptvisor/testkit'
import type { Static } from 'typebox'
import { layerName } from '../disk/layer-file.ts'
import { KeyCache } from '../key-cache.ts'
import { runTool } from '../process/tool.ts'
import { findKeys, runWithPassphrase } from '../testing/open-with-tools.ts'
import { datastorePath, runToEnd, startedOperations } from '../testing/simulated-host.ts'
import { importRequest, TestHost } from '../testing/test-host.ts'
import { decryptAll, details, encryptAll, newVm } from '../testing/test-vm.ts'

const mib = 1_048_576

function encryptThin(vm: VmAuthority, key: TestHost['key']): Static<typeof Encrypt> {
  const policy = 'Thin Encryption Policy'
  const disks = vm.disks.map(({ diskId }) => ({ diskId, key, policy, thin: true }))
  return { kind: 'encrypt', vm, home: { key, policy }, disks }
}

async function vmWith(host: TestHost, content: Buffer, format: 'raw' | 'qcow2' = 'raw'): Promise<VmAuthority> {
  const vm = await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
  return await host.done(importRequest(vm, content.length, format), content)
}

function pathOf(host: TestHost, vm: VmAuthority): string {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return host.path(layerName(disk))
}

/** Keeps a copy of the first disk's file, to compare with. */
function kept(host: TestHost, vm: VmAuthority): string {
  const copy = join(host.root, randomUUID())
  copyFileSync(pathOf(host, vm), copy)
  return copy
}

/** Has QEMU check an encrypted thin disk, and compare it with what it was made of. */
async function assertThin(host: TestHost, vm: VmAuthority, rawPath: string): Promise<void> {
  using loan = host.keys.borrow(host.key)
  assert.ok(loan !== null)
  const { path, diskDek, volumeKey, homeDek } = await findKeys(vm, host.key, loan.kek)
  for (const secret of [volumeKey, homeDek]) secret[Symbol.dispose]()
  using dek = diskDek
  const luks = { driver: 'luks', 'key-secret': 's', file: { driver: 'file', filename: path } }
  const image = `json:${JSON.stringify({ driver: 'qcow2', file: luks })}`
  const secret = '--object secret,id=s,file=/dev/stdin'
  await runWithPassphrase(dek, `qemu-img check ${secret} "$1"`, image)
  await runWithPassphrase(dek, `qemu-img compare ${secret} "$1" "$2"`, image, rawPath)
}

function sparse(sizeBytes: number, ...offsets: readonly number[]): Buffer {
  const content = Buffer.alloc(sizeBytes)
  for (const at of offsets) randomBytes(Math.min(300, sizeBytes - at)).copy(content, at)
  return content
}

const contents: readonly (readonly [string, Buffer, number])[] = [
  ['of one sector', sparse(512, 0), 1],
  ['of zeros', sparse(5 * mib), 0],
  ['with data here and there, that ends within a cluster', sparse(64 * mib + 512, 5, 3 * mib, 64 * mib + 100), 3],
]

for (const [name, content, clusterCount] of contents) {
  test(`a raw disk ${name} becomes a thin one when it is encrypted, and stays thin`, async () => {
    await using host = new TestHost()
    const before = await vmWith(host, content)
    const raw = kept(host, before)
    const encrypted = await host.done(encryptThin(before, host.key))
    const [disk] = encrypted.disks
    assert.deepEqual([disk?.format, disk?.virtualBytes], ['qcow2', content.length])
    assert.ok(disk !== undefined && disk.payloadBytes <= (8 + clusterCount) * 65_536)
    assert.equal(statSync(pathOf(host, encrypted)).size, 2 * mib + disk.payloadBytes)
    await assertThin(host, encrypted, raw)
    const plain = await host.done(decryptAll(encrypted))
    assert.deepEqual(plain.disks[0]?.format, 'qcow2')
    const same = await runTool('qemu-img', ['compare', '-f', 'raw', '-F', 'qcow2', raw, pathOf(host, plain)])
    assert.equal(same.exitCode, 0, same.stdout)
  })
}

test('a qcow2 disk that is to be thin stays as it is', async () => {
  await using host = new TestHost()
  const thin = await host.done(encryptThin(await vmWith(host, sparse(mib, 70_000)), host.key))
  const plain = await host.done(decryptAll(thin))
  const again = await host.done(encryptThin(plain, host.key))
  assert.equal(again.disks[0]?.payloadBytes, thin.disks[0]?.payloadBytes)
  assert.equal(again.disks[0]?.format, 'qcow2')
})

test('a thin encryption that was cut off goes on, wherever it stood, and its disk is whole', async () => {
  await using host = new TestHost()
  const before = await vmWith(host, sparse(6 * mib, ...Array.from({ length: 40 }, (_, index) => index * 2 * 65_536)))
  const raw = kept(host, before)
  const request: OperationRequest = encryptThin(before, host.key)
  const restore = host.snapshot()
  let doneCount = 0
  for (let count = 0, crashed = true; crashed; count += 6) {
    restore()
    const id = randomUUID()
    crashed = await host.crash(id, async (operations) => operations.start(id, request), count)
    await using operations = host.operations()
    const { state, vm } = await operations.recover(id, request)
    // Before there is a journal there is nothing to go on with.
    if (state !== 'done' || vm === null) assert.equal(doneCount, 0)
    else {
      doneCount++
      await assertThin(host, vm, raw)
    }
  }
  assert.ok(doneCount > 3)
})

test('a large disk with little data is encrypted where there is little room, thin alone', async () => {
  let storage = new SimulatedStorage({ fileSystems: { [datastorePath]: {}, '/agent': {} } })
  using keys = new KeyCache()
  const key = { provider: 'kms', keyId: 'key-1' }
  keys.add(key, Secret.random(32))
  const run = async (request: OperationRequest, content: Buffer | null = null) => {
    await using operations = startedOperations(storage, keys)
    const { vm, error } = await runToEnd(operations, randomUUID(), request, content)
    return { vm, code: error?.code }
  }
  const { vm } = await run({ kind: 'create-vm', vm: newVm(datastorePath), details, key: null })
  assert.ok(vm !== null)
  const content = sparse(24 * mib, 9 * mib)
  const { vm: before } = await run(importRequest(vm, content.length), content)
  assert.ok(before !== null)
  storage = storage.withCapacity(datastorePath, 12 * mib)
  assert.equal((await run(encryptAll(before, key))).code, 'no-space')
  const { vm: encrypted, code } = await run(encryptThin(before, key))
  assert.equal(code, undefined)
  assert.deepEqual([encrypted?.disks[0]?.format, encrypted?.disks[0]?.virtualBytes], ['qcow2', content.length])
})

test('a thin disk is one of whole sectors, up to 64 TiB, in a file', async () => {
  await using host = new TestHost()
  const vm = await vmWith(host, sparse(512))
  for (const change of [{ virtualBytes: 2 ** 46 + 512 }, { virtualBytes: 513 }, { device: '/dev/disk' }]) {
    const disks = vm.disks.map((disk) => ({ ...disk, ...change }))
    const { error } = await host.run(encryptThin({ ...vm, disks }, host.key))
    assert.equal(error?.code, 'refused', error?.message)
  }
})
