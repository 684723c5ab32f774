import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { NodeStorage } from '@cryptvisor/storage'
import { temporaryFolder } from '@cryptvisor/testkit'
import { Devices } from '../disk/devices.ts'
import { openDisk } from '../disk/open-disk.ts'
import { descriptorTools } from '../storage/descriptor-tools.ts'
import { runWithPassphrase } from '../testing/open-with-tools.ts'
import { TestHost } from '../testing/test-host.ts'
import { decryptAll, details, encryptAll, newVm } from '../testing/test-vm.ts'
import { lockStateOf } from './lock-state.ts'

const losetup = '/usr/sbin/losetup'
const shiftBytes = 2_097_152
const mark = 'loop-mark'

/** A loop device over a file. */
interface LoopDevice {
  readonly path: string
  /** All that lies on it. */
  bytes(): Buffer
}

/** A device that holds `content`, gone after the test; `null` where that takes rights that we do not have. */
function loopDevice(context: TestContext, content: Uint8Array): LoopDevice | null {
  const file = join(temporaryFolder(context), 'image')
  writeFileSync(file, content)
  const { status, stdout } = spawnSync(losetup, ['--find', '--show', file], { encoding: 'utf8' })
  if (status !== 0) {
    context.skip('no loop device is to be had here')
    return null
  }
  const path = stdout.trim()
  context.after(() => spawnSync(losetup, ['--detach', path]))
  return { path, bytes: () => readFileSync(file) }
}

function markedContent(sizeBytes: number): Buffer {
  const content = randomBytes(sizeBytes)
  for (let at = 0; at < sizeBytes; at += 512) content.write(`${mark} ${at}`, at)
  return content
}

/** A VM with a disk of so many bytes on that device. */
async function vmOn(host: TestHost, device: string, virtualBytes: number): Promise<VmAuthority> {
  const vm = await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
  const disk = { diskId: randomUUID(), number: 0, format: 'raw', virtualBytes, policy: 'a policy', key: null } as const
  return await host.done({ kind: 'add-disk', vm, ...disk, device })
}

for (const [what, sizeBytes] of Object.entries({ 'whole blocks': 8_388_608, 'odd sectors': 6_291_456 + 1536 })) {
  test(`a loop device of ${what} is encrypted in place, opens with QEMU, and is decrypted again`, async (context) => {
    const content = markedContent(sizeBytes)
    const device = loopDevice(context, Buffer.concat([content, Buffer.alloc(shiftBytes)]))
    if (device === null) return
    await using host = new TestHost()
    const plain = await vmOn(host, device.path, sizeBytes)
    const encrypted = await host.done(encryptAll(plain, host.key))
    assert.equal(device.bytes().includes(mark), false, 'plaintext is left on the device')
    assert.deepEqual(await lockStateOf(host.host(), encrypted), { state: 'unlocked', reason: null })
    await compareWithQemu(host, encrypted, device.path, content)
    const decrypted = await host.done(decryptAll(encrypted))
    assert.ok(device.bytes().subarray(0, sizeBytes).equals(content))
    assert.deepEqual(await lockStateOf(host.host(), decrypted), { state: 'unlocked', reason: null })
    assert.deepEqual(host.warnings, [])
  })
}

/** QEMU opens the device with the DEK, and finds the same in it. */
async function compareWithQemu(host: TestHost, vm: VmAuthority, path: string, content: Buffer): Promise<void> {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  await using datastore = await host.host().datastores.open(vm)
  await using folder = await datastore.folder(vm.folder)
  using loan = host.keys.borrow(host.key)
  assert.ok(folder !== null && loan !== null)
  using layer = await openDisk(folder, disk, [loan])
  const [expected, found] = [join(host.root, 'expected'), join(host.root, 'found')]
  writeFileSync(expected, content)
  const source = `driver=luks,key-secret=dek,file.driver=host_device,file.filename=${path}`
  await runWithPassphrase(
    layer.dek,
    'qemu-img convert --object secret,id=dek,file=/dev/stdin --image-opts "$1" -O raw "$2"',
    source,
    found,
  )
  // The image ends with the device: what lies behind the disk is none of it.
  assert.ok(readFileSync(found).subarray(0, content.length).equals(content))
}

test('an agent that is killed while it moves a disk goes on where it stood', async (context) => {
  const sizeBytes = 5_242_880
  const content = markedContent(sizeBytes)
  const device = loopDevice(context, Buffer.concat([content, Buffer.alloc(shiftBytes)]))
  if (device === null) return
  await using host = new TestHost()
  let vm = await vmOn(host, device.path, sizeBytes)
  for (let crashAt = 4; crashAt <= 40; crashAt += 4) {
    const request: OperationRequest = vm.encryption === null ? encryptAll(vm, host.key) : decryptAll(vm)
    const id = randomUUID()
    assert.ok(await host.crash(id, async (operations) => operations.start(id, request), crashAt))
    await host.crash(id, (operations) => operations.recover(id, request), crashAt % 7)
    await using operations = host.operations()
    const { state, vm: next } = await operations.recover(id, request)
    await operations.forget(id)
    if (state === 'done' && next !== null) vm = next
    assert.deepEqual(await lockStateOf(host.host(), vm), { state: 'unlocked', reason: null })
    if (vm.encryption === null) assert.ok(device.bytes().subarray(0, sizeBytes).equals(content), `crash at ${crashAt}`)
    else assert.equal(device.bytes().includes(mark), false)
  }
})

test('a device is reached over links, below its roots alone, and not while another has it', async (context) => {
  const device = loopDevice(context, Buffer.alloc(65_536))
  if (device === null) return
  const storage = new NodeStorage(descriptorTools)
  const folder = temporaryFolder(context)
  const link = join(folder, 'by-name')
  symlinkSync(device.path, link)
  const place = async (roots: readonly string[], path: string) => await new Devices(storage, roots).place(path)
  for (const roots of [[folder], ['/dev'], [device.path]]) assert.equal((await place(roots, link)).path, device.path)
  await assert.rejects(place([], device.path), { code: 'refused' })
  await assert.rejects(place(['/dev/mapper'], device.path), { code: 'refused' })
  await assert.rejects(place([device.path], `${device.path}0`), { code: 'refused' })
  await assert.rejects(place(['/dev'], `${folder}/../${folder}/by-name`), { code: 'refused' })
  await assert.rejects(place(['/dev'], '/dev/is-not-there'), { code: 'file-missing' })

  await using host = new TestHost()
  {
    await using _busy = await storage.openDevice(device.path, 'write')
    await assert.rejects(vmOn(host, device.path, 65_536), /is in use/)
  }
  await using other = new TestHost()
  await assert.rejects(vmOn(other, '/dev/null', 512), /is not a block device/)
})
