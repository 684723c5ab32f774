import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { layerName } from '../disk/layer-file.ts'
import { TestHost } from '../testing/test-host.ts'
import { decryptAll, encryptAll, sha256Of } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

const newKey: KeyReference = { provider: 'kms', keyId: 'key-2' }

function rekeyAll(vm: VmAuthority, key: KeyReference): OperationRequest {
  return { kind: 'deep-rekey', vm, home: { key }, disks: vm.disks.map(({ diskId }) => ({ diskId, key })) }
}

function diskOf(vm: VmAuthority) {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return disk
}

test('a deep rekey changes DEK, volume key and KEK, and no byte of the disk', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm(3_000_320)
  const content = await sha256Of(host.path(layerName(diskOf(plain))))
  const before = await host.done(encryptAll(plain, host.key))
  const old = readFileSync(host.path(layerName(diskOf(before))))
  host.keys.add(newKey, Secret.random(32))
  const after = await host.done(rekeyAll(before, newKey))
  assert.deepEqual([after.encryption?.keys, diskOf(after).encryption?.keys], [[newKey], [newKey]])
  assert.ok((after.encryption?.generation ?? 0) > (before.encryption?.generation ?? 0))
  assert.ok(!existsSync(host.path(layerName(diskOf(before)))), 'the old layer is gone')
  assert.deepEqual(
    host.files().filter((name) => name.includes('keysafe')),
    ['vm.keysafe'],
  )
  const found = readFileSync(host.path(layerName(diskOf(after))))
  for (let offset = 2_097_152; offset < found.length; offset += 512) {
    assert.ok(!found.subarray(offset, offset + 512).equals(old.subarray(offset, offset + 512)))
  }
  host.keys.remove(host.key)
  assert.deepEqual(await lockStateOf(host.host(), after), { state: 'unlocked', reason: null })
  const back = await host.done(decryptAll(after))
  assert.equal(await sha256Of(host.path(layerName(diskOf(back)))), content)
})

test('one disk or VM Home alone can be rekeyed', async () => {
  await using host = new TestHost()
  const before = await host.done(encryptAll(await host.plainVm(), host.key))
  host.keys.add(newKey, Secret.random(32))
  const home = await host.done({ kind: 'deep-rekey', vm: before, home: { key: newKey }, disks: [] })
  assert.deepEqual([home.encryption?.keys, diskOf(home).encryption?.keys], [[newKey], [host.key]])
  const { diskId } = diskOf(home)
  const disk = await host.done({ kind: 'deep-rekey', vm: home, home: null, disks: [{ diskId, key: newKey }] })
  assert.deepEqual([disk.encryption?.keys, diskOf(disk).encryption?.keys], [[newKey], [newKey]])
  assert.deepEqual(await lockStateOf(host.host(), disk), { state: 'unlocked', reason: null })
})

test('what is plain is not rekeyed, and without its old key nothing changes', async () => {
  await using host = new TestHost()
  const plain = await host.plainVm()
  assert.equal((await host.run(rekeyAll(plain, host.key))).error?.code, 'refused')
  const before = await host.done(encryptAll(plain, host.key))
  const files = host.files()
  const missing = await host.run(rekeyAll(before, newKey))
  assert.equal(missing.error?.code, 'key-not-held')
  assert.match(missing.error?.message ?? '', /kms\/key-2/)
  assert.deepEqual(host.files(), files)
})
