import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import type { ExportDisk, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { SimulatedStorage } from '@cryptvisor/testkit'
import { AgentError } from '../agent-error.ts'
import { layerName } from '../disk/layer-file.ts'
import { KeyCache } from '../key-cache.ts'
import { runTool } from '../process/tool.ts'
import { datastorePath, runToEnd, simulatedHost, startedOperations } from '../testing/simulated-host.ts'
import { importRequest, TestHost } from '../testing/test-host.ts'
import { details, encryptAll, newVm } from '../testing/test-vm.ts'
import { BulkLimit } from './bulk-limit.ts'
import { exportDisk } from './export-disk.ts'

const mib = 1_048_576
const untilEnd = new AbortController().signal

type Format = ExportDisk['format']

function firstDisk(vm: VmAuthority) {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return disk
}

function requestOf(vm: VmAuthority, format: Format): ExportDisk {
  return { vm, diskId: firstDisk(vm).diskId, format }
}

/** A disk's export, whole, with exactly as many bytes as it said. */
async function exported(host: TestHost, vm: VmAuthority, format: Format): Promise<Buffer> {
  const { sizeBytes, stream } = await exportDisk(host.host(), requestOf(vm, format), untilEnd)
  const bytes = await buffer(stream)
  assert.equal(bytes.length, sizeBytes)
  return bytes
}

async function vmWith(host: TestHost, content: Buffer, format: Format): Promise<VmAuthority> {
  const vm = await host.done({ kind: 'create-vm', vm: newVm(host.datastore), details, key: null })
  return await host.done(importRequest(vm, content.length, format), content)
}

async function qemuImg(...args: readonly string[]): Promise<void> {
  const { exitCode, stdout, stderr } = await runTool('qemu-img', args)
  assert.equal(exitCode, 0, `${args.join(' ')}: ${stdout} ${stderr}`)
}

function sparse(sizeBytes: number): Buffer {
  const content = Buffer.alloc(sizeBytes)
  for (const at of [0, 70_000, 3 * mib, sizeBytes - 100]) {
    if (at >= 0 && at < sizeBytes) randomBytes(Math.min(100, sizeBytes - at)).copy(content, at)
  }
  return content
}

for (const [name, content] of [
  ['of one sector', sparse(512)],
  ['of zeros', Buffer.alloc(2 * mib)],
  ['that ends within a cluster', sparse(5 * mib + 1536)],
] as const) {
  test(`a raw disk ${name} is exported as raw and as qcow2, plain or encrypted`, async () => {
    await using host = new TestHost()
    const plain = await vmWith(host, content, 'raw')
    const raw = join(host.root, 'disk.raw')
    writeFileSync(raw, content)
    const check = async (vm: VmAuthority) => {
      assert.ok((await exported(host, vm, 'raw')).equals(content))
      const qcow2 = join(host.root, `${randomUUID()}.qcow2`)
      writeFileSync(qcow2, await exported(host, vm, 'qcow2'))
      await qemuImg('check', '-f', 'qcow2', qcow2)
      await qemuImg('compare', '-s', '-f', 'qcow2', '-F', 'qcow2', qcow2, await sparseQcow2(host, raw))
    }
    await check(plain)
    const files = host.files()
    const encrypted = await host.done(encryptAll(plain, host.key))
    await check(encrypted)
    assert.ok(files.every((file) => !file.includes('export')))
    assert.deepEqual(host.warnings, [])
  })
}

/** What qemu-img makes of a raw disk: as sparse as ours is to be. */
async function sparseQcow2(host: TestHost, raw: string): Promise<string> {
  const path = join(host.root, `${randomUUID()}.qcow2`)
  await qemuImg('convert', '-S', '64k', '-f', 'raw', '-O', 'qcow2', raw, path)
  return path
}

/** Images that QEMU makes: both versions, with a snapshot, compressed, small and large clusters, a disk that ends anywhere. */
const images: readonly (readonly [string, string, number])[] = [
  ['version 2', 'compat=0.10', 3 * mib + 512],
  ['version 3 with clusters of 4 KiB', 'compat=1.1,cluster_size=4096', 2 * mib + 1536],
  ['clusters of 2 MiB', 'cluster_size=2M,lazy_refcounts=on', 5 * mib],
]

for (const [name, options, sizeBytes] of images) {
  test(`a qcow2 disk, ${name}, is exported as it is, and as the raw disk that its guest sees`, async () => {
    await using host = new TestHost()
    const raw = join(host.root, 'disk.raw')
    writeFileSync(raw, sparse(sizeBytes))
    const path = join(host.root, 'disk.qcow2')
    await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', options, raw, path)
    await qemuImg('snapshot', '-c', 'before', path)
    const { exitCode, stderr } = await runTool('qemu-io', ['-f', 'qcow2', '-c', 'write -P 7 65536 70000', path])
    assert.equal(exitCode, 0, stderr)
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', path, raw)
    const image = readFileSync(path)
    const vm = await vmWith(host, image, 'qcow2')
    const encrypted = await host.done(encryptAll(vm, host.key))
    assert.ok((await exported(host, encrypted, 'raw')).equals(readFileSync(raw)))
    assert.ok((await exported(host, encrypted, 'qcow2')).subarray(0, image.length).equals(image))
  })
}

test('a compressed qcow2 is exported as the raw disk in it', async () => {
  await using host = new TestHost()
  const raw = join(host.root, 'disk.raw')
  const content = Buffer.alloc(3 * mib, 'text that is easy to compress ')
  writeFileSync(raw, content)
  const path = join(host.root, 'disk.qcow2')
  await qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', raw, path)
  const vm = await vmWith(host, readFileSync(path), 'qcow2')
  assert.ok((await exported(host, vm, 'raw')).equals(content))
})

test('while a disk is read out its VM is locked and its key is lent, until the stream is closed', async () => {
  await using host = new TestHost()
  const vm = await host.done(encryptAll(await host.plainVm(8 * mib), host.key))
  const given = host.host()
  const { stream } = await exportDisk(given, requestOf(vm, 'raw'), untilEnd)
  assert.throws(() => host.keys.remove(host.key), { code: 'key-in-use' })
  await assert.rejects(exportDisk(given, requestOf(vm, 'raw'), untilEnd), { code: 'vm-busy' })
  await closed(host, vm, () => stream.destroy())
})

/** Ends an export, and waits until the VM and its key are free again. */
async function closed(host: TestHost, vm: VmAuthority, end: () => void): Promise<void> {
  end()
  for (;;) {
    try {
      const { stream } = await exportDisk(host.host(), requestOf(vm, 'raw'), untilEnd)
      await buffer(stream)
      break
    } catch (error) {
      assert.ok(error instanceof AgentError && error.code === 'vm-busy', String(error))
    }
  }
}

test('a signal ends an export, before its first byte and after it', async () => {
  await using host = new TestHost()
  const vm = await host.plainVm(8 * mib)
  await assert.rejects(exportDisk(host.host(), requestOf(vm, 'raw'), AbortSignal.abort(new Error('gone'))))
  await assert.rejects(exportDisk(host.host(), requestOf(vm, 'qcow2'), AbortSignal.abort(new Error('gone'))))
  const gone = new AbortController()
  const { stream } = await exportDisk(host.host(), requestOf(vm, 'raw'), gone.signal)
  await closed(host, vm, () => gone.abort())
  assert.equal(stream.destroyed, true)
})

test('a disk that changes or ends while it is read out breaks the stream, and never ends it well', async () => {
  for (const spoil of [
    (path: string) => utimesSync(path, new Date(), new Date(0)),
    (path: string) => truncateSync(path, 3 * mib),
  ]) {
    await using host = new TestHost()
    const vm = await host.plainVm(8 * mib)
    const { stream } = await exportDisk(host.host(), requestOf(vm, 'raw'), untilEnd)
    spoil(host.path(layerName(firstDisk(vm))))
    await assert.rejects(buffer(stream), { name: 'DataPathError' })
    assert.match(host.warnings.join(), /broke off/)
  }
})

test('what cannot be exported is an answer that says why', async () => {
  await using host = new TestHost()
  const vm = await host.done(encryptAll(await host.plainVm(), host.key))
  const of = (request: ExportDisk) => exportDisk(host.host(), request, untilEnd)
  await assert.rejects(of({ vm, diskId: 'none', format: 'raw' }), { code: 'refused', message: /none/ })
  await assert.rejects(of({ ...requestOf(vm, 'raw'), vm: { ...vm, generation: 9 } }), { code: 'datastore-mismatch' })
  const path = host.path(layerName(firstDisk(vm)))
  truncateSync(path, 2 * mib + 512)
  await assert.rejects(of(requestOf(vm, 'raw')), { code: 'datastore-mismatch' })
  host.keys.remove(host.key)
  await assert.rejects(of(requestOf(vm, 'raw')), { code: 'key-not-held' })
})

test('an export writes nothing, and reads what its storage has', async () => {
  const storage = new SimulatedStorage({ fileSystems: { [datastorePath]: {} } })
  using keys = new KeyCache()
  const key = { provider: 'kms', keyId: 'key-1' }
  keys.add(key, Secret.random(32))
  const done = async (request: OperationRequest, content: Buffer | null = null): Promise<VmAuthority> => {
    await using operations = startedOperations(storage, keys)
    const id = randomUUID()
    const { vm, error } = await runToEnd(operations, id, request, content)
    assert.ok(vm !== null, error?.message)
    await operations.forget(id)
    return vm
  }
  const made = await done({ kind: 'create-vm', vm: newVm(datastorePath), details, key: null })
  const content = sparse(3 * mib + 512)
  const vm = await done(encryptAll(await done(importRequest(made, content.length), content), key))
  const eventCount = storage.trace.length
  const { stream } = await exportDisk(simulatedHost(storage, keys), requestOf(vm, 'raw'), untilEnd)
  assert.ok((await buffer(stream)).equals(content))
  assert.equal(storage.trace.length, eventCount)
})

test('a host reads out a few disks at once and no more, and has room again when one ends, however it ends', async () => {
  await using host = new TestHost()
  const agent = { ...host.host(), exports: new BulkLimit(1) }
  const vm = await vmWith(host, randomBytes(4 * mib), 'raw')
  const request = requestOf(vm, 'raw')
  const given = { ...request, diskId: randomUUID() }
  await assert.rejects(exportDisk(agent, given, untilEnd), { code: 'refused' })
  for (const ends of ['read', 'closed', 'aborted'] as const) {
    const gone = new AbortController()
    const { stream } = await exportDisk(agent, request, gone.signal)
    await assert.rejects(exportDisk(agent, request, untilEnd), { name: 'AgentError', code: 'too-many' })
    if (ends === 'read') await buffer(stream)
    else if (ends === 'closed') stream.destroy()
    else gone.abort()
    const turn = await agent.exports.enter(untilEnd)
    turn[Symbol.dispose]()
  }
})
