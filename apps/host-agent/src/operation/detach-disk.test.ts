import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import type { DiskAuthority, VmAuthority } from '@cryptvisor/host-agent-api'
import { layerName } from '../disk/layer-file.ts'
import { TestHost } from '../testing/test-host.ts'
import { encryptAll } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'
import { removeLayer } from './remove-layer.ts'

/** A VM in a folder of that name, all of it encrypted, and its disk. */
async function encryptedVm(host: TestHost, folder: string): Promise<[VmAuthority, DiskAuthority]> {
  const vm = await host.done(encryptAll(await host.plainVm(undefined, folder), host.key))
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return [vm, disk]
}

const isOpen = async (host: TestHost, vm: VmAuthority) => (await lockStateOf(host.host(), vm)).state === 'unlocked'

test('a disk is detached without a key, and its VM opens without it', async () => {
  await using host = new TestHost()
  const [vm, disk] = await encryptedVm(host, 'vm-1')
  host.keys.remove(host.key)
  const without = await host.done({ kind: 'detach-disk', vm, diskId: disk.diskId, remove: false })
  assert.deepEqual([without.disks, without.generation], [[], vm.generation + 1])
  assert.ok(existsSync(join(host.datastore, 'vm-1', layerName(disk))))
})

test('a layer goes over to another VM, and its folder with the last of its files', async () => {
  await using host = new TestHost()
  const [source, disk] = await encryptedVm(host, 'vm-1')
  const [target] = await encryptedVm(host, 'vm-2')
  const without = await host.done({ kind: 'detach-disk', vm: source, diskId: disk.diskId, remove: false })
  await host.run({ kind: 'delete-vm', vm: without })
  assert.ok(
    existsSync(join(host.datastore, 'vm-1', layerName(disk))),
    'a VM that is deleted takes no layer that was detached',
  )
  const moved = { ...disk, number: 1 }
  const after = await host.done({ kind: 'attach-disk', vm: target, disk: moved, folder: 'vm-1' })
  assert.ok(await isOpen(host, after))
  assert.ok(!existsSync(join(host.datastore, 'vm-1')))
})

test('what is no disk to attach is refused, and stays where it is', async () => {
  await using host = new TestHost()
  const [source, disk] = await encryptedVm(host, 'vm-1')
  const plain = await host.plainVm(undefined, 'vm-2')
  const [target] = await encryptedVm(host, 'vm-3')
  await host.done({ kind: 'detach-disk', vm: source, diskId: disk.diskId, remove: false })
  const another = { ...disk, number: 1, payloadBytes: disk.payloadBytes + 512 }
  for (const [vm, wanted, folder, code] of [
    [plain, { ...disk, number: 1 }, 'vm-1', 'refused'],
    [target, disk, 'vm-1', 'refused'],
    [target, { ...disk, number: 1 }, 'vm-2', 'io'],
    [target, { ...disk, number: 1 }, 'nowhere', 'datastore-mismatch'],
    [target, another, 'vm-1', 'datastore-mismatch'],
  ] as const) {
    const { state, error } = await host.run({ kind: 'attach-disk', vm, disk: wanted, folder })
    assert.equal(state, 'failed', folder)
    assert.ok(error !== null && error.message.length > 20)
    if (code !== 'io') assert.equal(error.code, code, error.message)
    assert.ok(existsSync(join(host.datastore, 'vm-1', layerName(disk))))
    assert.ok(!existsSync(join(host.datastore, vm.folder, layerName(disk))))
  }
  assert.ok(await isOpen(host, target))
})

test('a layer’s files are removed when no VM names it, and again', async () => {
  await using host = new TestHost()
  const [vm, disk] = await encryptedVm(host, 'vm-1')
  const { datastores } = host.host()
  const layer = { ...disk, datastorePath: host.datastore, folder: 'vm-1' }
  await assert.rejects(removeLayer(datastores, layer), { code: 'refused', message: /is a disk of VM/ })
  await host.done({ kind: 'detach-disk', vm, diskId: disk.diskId, remove: false })
  await removeLayer(datastores, layer)
  assert.ok(!existsSync(join(host.datastore, 'vm-1', layerName(disk))))
  await removeLayer(datastores, layer)
  await removeLayer(datastores, { ...layer, folder: 'nowhere' })
})
