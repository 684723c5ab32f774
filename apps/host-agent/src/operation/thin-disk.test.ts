import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { copyFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'
import type {
  DiskAuthority,
  Encrypt,
  ExportDisk,
  OperationRequest,
  OperationStatus,
  VmAuthority,
} from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { SeededRandom, SimulatedStorage, type StorageCall } from '@cryptvisor/testkit'
import type { Static } from 'typebox'
import { layerName } from '../disk/layer-file.ts'
import { KeyCache } from '../key-cache.ts'
import { runTool } from '../process/tool.ts'
import { type CutCount, cutAndRecover, record, runWithFault, type Scenario } from '../testing/crash-simulation.ts'
import { findKeys, runWithPassphrase } from '../testing/open-with-tools.ts'
import { datastorePath, runToEnd, simulatedHost, startedOperations } from '../testing/simulated-host.ts'
import { importRequest, TestHost } from '../testing/test-host.ts'
import { decryptAll, details, encryptAll, newVm } from '../testing/test-vm.ts'
import { exportDisk } from './export-disk.ts'

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

function firstDisk(vm: VmAuthority): DiskAuthority {
  const [disk] = vm.disks
  assert.ok(disk !== undefined)
  return disk
}

function pathOf(host: TestHost, vm: VmAuthority): string {
  return host.path(layerName(firstDisk(vm)))
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

const mark = 'what the guest wrote'

/** A plain VM on a simulated disk, with a sparse raw disk that is marked. */
class SimulatedThin implements Disposable {
  readonly keys = new KeyCache()
  readonly key = { provider: 'kms', keyId: 'key-1' }
  readonly content: Buffer
  readonly vm: VmAuthority
  storage: SimulatedStorage

  private constructor(storage: SimulatedStorage, vm: VmAuthority, content: Buffer) {
    this.keys.add(this.key, Secret.random(32))
    this.storage = storage
    this.vm = vm
    this.content = content
  }

  static async make(sizeBytes: number, ...offsets: readonly number[]): Promise<SimulatedThin> {
    const storage = new SimulatedStorage({ fileSystems: { [datastorePath]: {} } })
    const content = sparse(sizeBytes, ...offsets)
    for (const at of offsets) content.write(mark, at)
    using keys = new KeyCache()
    await using operations = startedOperations(storage, keys)
    const done = async (request: OperationRequest, bytes: Buffer | null) => {
      const { vm, error } = await runToEnd(operations, randomUUID(), request, bytes)
      assert.ok(vm !== null, error?.message)
      return vm
    }
    const made = await done({ kind: 'create-vm', vm: newVm(datastorePath), details, key: null }, null)
    return new SimulatedThin(storage, await done(importRequest(made, content.length), content), content)
  }

  async run(request: OperationRequest): Promise<OperationStatus> {
    await using operations = startedOperations(this.storage, this.keys)
    return await runToEnd(operations, randomUUID(), request, null)
  }

  /** The guest sees what it saw, and where its disk is encrypted nothing of it lies in plain. */
  scenario(name: string): Scenario {
    const { keys, key, vm: before, content, storage } = this
    return {
      name,
      storage,
      keys,
      request: encryptThin(before, key),
      content: null,
      checkWhole: async (left, found) => {
        const vm = found === 'before' ? before : found
        const [disk] = vm?.disks ?? []
        assert.ok(vm !== null && disk !== undefined)
        const request: ExportDisk = { vm, diskId: disk.diskId, format: 'raw' }
        const { stream } = await exportDisk(simulatedHost(left, keys), request, new AbortController().signal)
        assert.ok((await buffer(stream)).equals(content))
        const plain = left
          .files()
          .values()
          .some((bytes) => bytes.includes(mark))
        assert.equal(plain, disk.encryption === null)
      },
    }
  }

  [Symbol.dispose](): void {
    this.keys[Symbol.dispose]()
  }
}

test('cut at any event of its disk, a thin encryption leaves the old disk or the new one', async (context) => {
  using made = await SimulatedThin.make(262_656, 0, 131_072, 262_144)
  const random = SeededRandom.of(context, 20_261_124)
  const recording = await record(made.scenario('encrypt thin'))
  const count: CutCount = { cutCount: 0, states: new Map() }
  for (let at = random.below(4); at <= recording.storage.trace.length; at += 1 + random.below(8)) {
    await cutAndRecover(recording, at, random.pick(['nothing', 'everything', 'killed']), random, count)
  }
  context.diagnostic(`${count.cutCount} cuts; recoveries: ${JSON.stringify([...count.states])}`)
  assert.ok(count.states.has('done'))
})

/** The calls that read a plain raw disk, or its new layer. */
function readsDisk({ kind, path }: StorageCall): boolean {
  return kind === 'read' && (path.endsWith('.raw') || path.endsWith('.luks'))
}

test('a disk that cannot be read is not encrypted', async () => {
  using made = await SimulatedThin.make(262_656, 0, 131_072)
  for (let skipped = 0, state = ''; state !== 'done'; skipped += 9) {
    let left = skipped
    const faulted = await runWithFault(made.scenario('encrypt thin with a read error'), (storage) =>
      storage.fail({ when: (call) => readsDisk(call) && left-- === 0, outcome: { code: 'EIO' }, times: 1 }),
    )
    state = faulted.state
    assert.equal(faulted.error?.code, state === 'done' ? undefined : 'io', faulted.error?.message)
    // Without a read that fails it is done.
    assert.equal(left < 0, state !== 'done')
  }
})

test('data that a bad read made look like zeros is not left out', async () => {
  using made = await SimulatedThin.make(262_656, 0)
  const path = `${datastorePath}/vm-1/${layerName(firstDisk(made.vm))}`
  // A cluster whose only bit that is set is the one that the read turns over.
  const lone = 131_072
  const folder = await made.storage.openFolder(`${datastorePath}/vm-1`)
  assert.ok(folder !== null)
  await using file = await folder.openFile(layerName(firstDisk(made.vm)), 'write')
  await file.write(Uint8Array.of(1), lone)
  await file.sync()
  await folder[Symbol.asyncDispose]()
  made.content.writeUInt8(1, lone)
  const { state, error } = await runWithFault(made.scenario('encrypt thin with a bad read'), (storage) =>
    storage.fail({
      when: (call) => call.kind === 'read' && call.path === path && call.position === lone,
      outcome: { flipBit: 0 },
      times: 1,
    }),
  )
  assert.deepEqual([state, error?.code], ['failed', 'verification-failed'])
})

test('a large disk with little data is encrypted where there is little room, thin alone', async () => {
  using made = await SimulatedThin.make(24 * mib, 9 * mib)
  made.storage = made.storage.withCapacity(datastorePath, 12 * mib)
  assert.equal((await made.run(encryptAll(made.vm, made.key))).error?.code, 'no-space')
  const { vm, error, doneBytes, totalBytes } = await made.run(encryptThin(made.vm, made.key))
  assert.equal(error, null)
  assert.deepEqual([vm?.disks[0]?.format, vm?.disks[0]?.virtualBytes], ['qcow2', 24 * mib])
  // All was looked through twice; what it has was written and read back.
  assert.deepEqual([doneBytes, totalBytes], [totalBytes, 2 * 24 * mib + 2 * (vm?.disks[0]?.payloadBytes ?? 0)])
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
