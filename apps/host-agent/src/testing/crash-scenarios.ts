import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createXts } from '@cryptvisor/crypto'
import type { DiskAuthority, KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { ThinImage } from '@cryptvisor/qcow2'
import { Secret } from '@cryptvisor/secret'
import { type FileSystemOptions, type SeededRandom, SimulatedStorage } from '@cryptvisor/testkit'
import { layerName } from '../disk/layer-file.ts'
import { openDisk } from '../disk/open-disk.ts'
import { KeyCache } from '../key-cache.ts'
import { lockStateOf } from '../operation/lock-state.ts'
import type { Scenario } from './crash-simulation.ts'
import { datastorePath, runToEnd, simulatedHost, startedOperations } from './simulated-host.ts'
import { importRequest } from './test-host.ts'
import { decryptAll, encryptAll, newVm } from './test-vm.ts'

const sectorBytes = 512

/** Stands in VM Home; where VM Home is encrypted it lies nowhere on the disk. */
const homeMark = 'a note that nobody else may read'

const details = { memoryMib: 512, cpuCount: 1, firmware: 'bios', notes: homeMark } as const

/** A simulated disk with a VM on it, and what its disks hold. */
class SimulatedVm {
  readonly keys = new KeyCache()
  readonly key: KeyReference = { provider: 'kms', keyId: 'key-1' }
  readonly otherKey: KeyReference = { provider: 'kms', keyId: 'key-2' }
  readonly storage: SimulatedStorage
  /** What each disk holds, by its ID. */
  readonly contents = new Map<string, Buffer>()
  #vm: VmAuthority = newVm(datastorePath)

  /** `fileSystem`: what the datastore's is like. */
  constructor(fileSystem: FileSystemOptions = {}) {
    this.storage = new SimulatedStorage({ fileSystems: { [datastorePath]: fileSystem, '/agent': {} } })
    for (const key of [this.key, this.otherKey]) this.keys.add(key, Secret.random(32))
  }

  /** As it is now. */
  get vm(): VmAuthority {
    return this.#vm
  }

  /** Does something to it that a scenario begins with. */
  async make(request: OperationRequest, content: Buffer | null = null): Promise<this> {
    const id = randomUUID()
    await using operations = startedOperations(this.storage, this.keys)
    const { vm, error } = await runToEnd(operations, id, request, content)
    assert.ok(vm !== null, `${request.kind}: ${error?.code} ${error?.message}`)
    await operations.forget(id)
    this.#vm = vm
    return this
  }

  /** Adds a plain disk that holds `content`. */
  async addDisk(content: Buffer, format: 'raw' | 'qcow2'): Promise<void> {
    const request = importRequest(this.#vm, content.length, format)
    this.contents.set(request.diskId, content)
    await this.make(request, content)
  }

  /** The operation that is to be cut off. `before`: whether there is a VM before it. */
  scenario(name: string, request: OperationRequest, content: Buffer | null = null): Scenario {
    const { keys, contents, storage } = this
    const before = this.#vm.generation === 0 ? null : this.#vm
    return {
      name,
      storage,
      keys,
      request,
      content,
      checkWhole: async (storage, vm) => await checkWhole(storage, keys, vm === 'before' ? before : vm, contents),
    }
  }
}

/** A raw disk of a size that no chunk divides: sectors that are marked, random ones, zeros. */
function rawContent(random: SeededRandom, mark: string): Buffer {
  const sectors = Array.from({ length: 150 + random.below(40) }, (_, index) => {
    const sector = index % 3 === 0 ? random.bytes(sectorBytes) : Buffer.alloc(sectorBytes)
    if (index % 2 === 0) sector.write(`${mark} ${index}`, 100)
    return sector
  })
  return Buffer.concat([...sectors, Buffer.alloc(40 * sectorBytes)])
}

/** An empty qcow2 image. */
function emptyQcow2(virtualBytes: number): Buffer {
  const image = ThinImage.empty(virtualBytes)
  const bytes = Buffer.alloc(image.sizeBytes)
  for (const piece of image.pieces()) {
    if (piece.kind === 'metadata') bytes.set(piece.bytes, piece.offsetBytes)
  }
  return bytes
}

function markOf(content: Buffer): string | null {
  return /disk-mark-[0-9]+/.exec(content.toString('latin1'))?.[0] ?? null
}

/** A plain VM with a raw disk and a qcow2. */
async function plainVm(random: SeededRandom, fileSystem: FileSystemOptions): Promise<SimulatedVm> {
  const made = new SimulatedVm(fileSystem)
  await made.make({ kind: 'create-vm', vm: made.vm, details, key: null })
  await made.addDisk(rawContent(random, 'disk-mark-1'), 'raw')
  await made.addDisk(emptyQcow2(1_048_576), 'qcow2')
  return made
}

async function encryptedVm(random: SeededRandom, fileSystem: FileSystemOptions): Promise<SimulatedVm> {
  const made = await plainVm(random, fileSystem)
  return await made.make(encryptAll(made.vm, made.key))
}

type Prepare = (name: string, random: SeededRandom, fileSystem: FileSystemOptions) => Promise<Scenario>

/** Every kind of operation, each ready to be run on a disk of its own. */
export const scenarios = {
  'create a plain VM': async (name, _, fileSystem) => {
    const made = new SimulatedVm(fileSystem)
    return made.scenario(name, { kind: 'create-vm', vm: made.vm, details, key: null })
  },
  'create an encrypted VM': async (name, _, fileSystem) => {
    const made = new SimulatedVm(fileSystem)
    return made.scenario(name, { kind: 'create-vm', vm: made.vm, details, key: made.key })
  },
  'import a disk': async (name, random, fileSystem) => {
    const made = await plainVm(random, fileSystem)
    const content = rawContent(random, 'disk-mark-2')
    const request = importRequest(made.vm, content.length)
    made.contents.set(request.diskId, content)
    return made.scenario(name, request, content)
  },
  'add an encrypted disk': async (name, random, fileSystem) => {
    const made = await encryptedVm(random, fileSystem)
    const virtualBytes = 1_048_576
    const diskId = randomUUID()
    made.contents.set(diskId, emptyQcow2(virtualBytes))
    const disk = { diskId, number: 2, format: 'qcow2', virtualBytes, policy: 'VM Encryption Policy' } as const
    return made.scenario(name, { kind: 'add-disk', vm: made.vm, ...disk, key: made.key })
  },
  encrypt: async (name, random, fileSystem) => {
    const made = await plainVm(random, fileSystem)
    return made.scenario(name, encryptAll(made.vm, made.key))
  },
  decrypt: async (name, random, fileSystem) => {
    const made = await encryptedVm(random, fileSystem)
    return made.scenario(name, decryptAll(made.vm))
  },
  'shallow rekey': async (name, random, fileSystem) => {
    const made = await encryptedVm(random, fileSystem)
    const key = made.otherKey
    const disks = made.vm.disks.map(({ diskId }) => ({ diskId, key }))
    return made.scenario(name, { kind: 'shallow-rekey', vm: made.vm, home: { key }, disks })
  },
  'delete a VM': async (name, random, fileSystem) => {
    const made = await encryptedVm(random, fileSystem)
    return made.scenario(name, { kind: 'delete-vm', vm: made.vm })
  },
} satisfies Readonly<Record<string, Prepare>>

/**
 * Throws unless exactly this VM is there, whole: every file and no other, all of it opens with the keys held, each disk
 * holds what it must, and what is encrypted lies nowhere in plain. `null`: nothing of it may be there.
 */
async function checkWhole(
  storage: SimulatedStorage,
  keys: KeyCache,
  vm: VmAuthority | null,
  contents: ReadonlyMap<string, Buffer>,
): Promise<void> {
  const files = storage.files()
  const found = storage.paths().filter((path) => path.startsWith(`${datastorePath}/`))
  if (vm === null) {
    assert.deepEqual(found, [])
    return
  }
  const folder = `${datastorePath}/${vm.folder}`
  const document = JSON.parse(String(files.get(`${folder}/vm.json`))) as { home: { generation: number } }
  const expected = [
    'vm.json',
    'vm.lock',
    'home/',
    `home/config.${document.home.generation}.${vm.encryption === null ? 'json' : 'sealed'}`,
    ...(vm.encryption === null ? [] : ['vm.keysafe']),
    ...vm.disks.map(layerName),
  ]
  // Its outcome is on record, but whether the journal went is for the next operation to see to.
  const left = found.filter((path) => path !== `${folder}/journal.json`)
  assert.deepEqual(left.toSorted(), [`${folder}/`, ...expected.map((name) => `${folder}/${name}`)].toSorted())
  assert.deepEqual(await lockStateOf(simulatedHost(storage, keys), vm), { state: 'unlocked', reason: null })
  if (vm.encryption !== null) assertNowhere(files, homeMark)
  for (const disk of vm.disks) {
    const content = contents.get(disk.diskId)
    assert.ok(content !== undefined)
    const file = files.get(`${folder}/${layerName(disk)}`)
    assert.ok(file !== undefined)
    const payload = await payloadOf(storage, keys, vm.folder, disk, file)
    assert.ok(payload.equals(content), `disk ${disk.number} holds something else`)
    const mark = disk.encryption === null ? null : markOf(content)
    if (mark !== null) assertNowhere(files, mark)
  }
}

function assertNowhere(files: ReadonlyMap<string, Buffer>, mark: string): void {
  for (const [path, bytes] of files) assert.ok(!bytes.includes(mark), `${path} holds «${mark}»`)
}

/** The bytes of a disk's image out of its layer's file, decrypted in one go and not by the data path. */
async function payloadOf(
  storage: SimulatedStorage,
  keys: KeyCache,
  vmFolder: string,
  disk: DiskAuthority,
  file: Buffer,
): Promise<Buffer> {
  if (disk.encryption === null) return file
  await using datastore = await simulatedHost(storage, keys).datastores.open({ datastorePath })
  await using folder = await datastore.folder(vmFolder)
  const [key] = disk.encryption.keys
  assert.ok(folder !== null && key !== undefined)
  using loan = keys.borrow(key)
  assert.ok(loan !== null)
  using layer = await openDisk(folder, disk, [loan])
  const { payloadOffsetBytes, sizeBytes, volumeKey } = layer.image
  using cipher = createXts(volumeKey)
  const payload = Buffer.from(file.subarray(payloadOffsetBytes))
  cipher.decrypt(payload, 0)
  return payload.subarray(0, sizeBytes)
}
