import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createXts } from '@cryptvisor/crypto'
import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { createHeader } from '@cryptvisor/luks'
import { ThinImage } from '@cryptvisor/qcow2'
import { Secret } from '@cryptvisor/secret'
import { type FileSystemOptions, type SeededRandom, SimulatedStorage } from '@cryptvisor/testkit'
import { layerName } from '../disk/layer-file.ts'
import { KeyCache } from '../key-cache.ts'
import type { Scenario } from './crash-simulation.ts'
import { datastorePath, runToEnd, startedOperations, volumePassphrase } from './simulated-host.ts'
import { importRequest } from './test-host.ts'
import { encryptAll, newVm } from './test-vm.ts'
import { assertWhole, diskMark, homeMark, type LooseLayer } from './whole-vm.ts'

const sectorBytes = 512

/** What VM Home says. */
export const markedDetails = { memoryMib: 512, cpuCount: 1, firmware: 'bios', notes: homeMark } as const

/** A simulated datastore with a VM on it, and what its disks hold. */
export class SimulatedVm {
  readonly keys = new KeyCache()
  readonly key: KeyReference = { provider: 'kms', keyId: 'key-1' }
  readonly otherKey: KeyReference = { provider: 'kms', keyId: 'key-2' }
  readonly storage: SimulatedStorage
  /** What each disk holds, by its ID. */
  readonly contents = new Map<string, Buffer>()
  #vm: VmAuthority = newVm(datastorePath)

  /** Without a VM yet. `fileSystem`: what the datastore's is like. */
  constructor(fileSystem: FileSystemOptions = {}) {
    this.storage = new SimulatedStorage({ fileSystems: { [datastorePath]: fileSystem, '/agent': {} } })
    for (const key of [this.key, this.otherKey]) this.keys.add(key, Secret.random(32))
  }

  /** A plain VM with a raw disk and a qcow2. */
  static async plain(random: SeededRandom, fileSystem: FileSystemOptions = {}): Promise<SimulatedVm> {
    const made = new SimulatedVm(fileSystem)
    await made.make({ kind: 'create-vm', vm: made.vm, details: markedDetails, key: null })
    await made.addDisk(rawContent(random, 1), 'raw')
    await made.addDisk(emptyQcow2(1_048_576), 'qcow2')
    return made
  }

  /** The same, all of it encrypted. */
  static async encrypted(random: SeededRandom, fileSystem: FileSystemOptions = {}): Promise<SimulatedVm> {
    const made = await SimulatedVm.plain(random, fileSystem)
    return await made.make(encryptAll(made.vm, made.key))
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

  /** Takes the VM's last disk from it; its layer then lies in `folder`, or where it lay. */
  async detached(folder: string | null): Promise<LooseLayer> {
    const { vm, storage } = this
    const disk = vm.disks.at(-1)
    assert.ok(disk !== undefined)
    await this.make({ kind: 'detach-disk', vm, diskId: disk.diskId, remove: false })
    if (folder === null) return { folder: vm.folder, disk }
    await using root = await storage.openFolder(datastorePath)
    await root?.makeFolder(folder)
    await using from = (await root?.folder(vm.folder)) ?? null
    await using to = (await root?.folder(folder)) ?? null
    assert.ok(root !== null && from !== null && to !== null)
    await from.link(layerName(disk), to, layerName(disk))
    await from.removeFile(layerName(disk))
    for (const each of [root, from, to]) await each.sync()
    return { folder, disk }
  }

  /** The operation that is to be cut off; with `clones` its VM is another one, and this one stays as it is. `loose`: what layer belongs to no VM. */
  scenario(
    name: string,
    request: OperationRequest,
    content: Buffer | null = null,
    loose: { readonly before?: LooseLayer; readonly after?: LooseLayer } = {},
  ): Scenario {
    const { keys, contents, storage } = this
    const before = this.#vm.generation === 0 ? [] : [this.#vm]
    const staying = request.kind === 'clone-vm' ? before : []
    return {
      name,
      storage,
      keys,
      request,
      content,
      checkWhole: async (storage, vm) => {
        const after = vm === 'before' ? before : [...staying, ...(vm === null ? [] : [vm])]
        const layer = vm === 'before' ? loose.before : loose.after
        await assertWhole(storage, { keys, contents }, after, layer === undefined ? [] : [layer])
      },
    }
  }
}

/** A raw disk of a size that no chunk divides: sectors that are marked, random ones, zeros. */
export function rawContent(random: SeededRandom, number: number): Buffer {
  const sectors = Array.from({ length: 150 + random.below(40) }, (_, index) => {
    const sector = index % 3 === 0 ? random.bytes(sectorBytes) : Buffer.alloc(sectorBytes)
    if (index % 2 === 0) sector.write(`${diskMark(number)} ${index}`, 100)
    return sector
  })
  return Buffer.concat([...sectors, Buffer.alloc(40 * sectorBytes)])
}

/** An empty qcow2 image. */
export function emptyQcow2(virtualBytes: number): Buffer {
  const image = ThinImage.empty(virtualBytes)
  const bytes = Buffer.alloc(image.sizeBytes)
  for (const piece of image.pieces()) {
    if (piece.kind === 'metadata') bytes.set(piece.bytes, piece.offsetBytes)
  }
  return bytes
}

/** A LUKS1 volume that somebody else made; without room for a key record its payload begins where QEMU lets it. */
export async function foreignVolume(content: Buffer, hasRoom: boolean): Promise<Buffer> {
  using volumeKey = Secret.random(64)
  using passphrase = Secret.from(new TextEncoder().encode(volumePassphrase))
  const made = Buffer.from(await createHeader({ volumeKey, passphrase, uuid: randomUUID() }))
  const header = hasRoom ? made : made.subarray(0, tightPayloadSector * sectorBytes)
  header.writeUInt32BE(header.length / sectorBytes, payloadOffsetField)
  const payload = Buffer.from(content)
  using cipher = createXts(volumeKey)
  cipher.encrypt(payload, 0)
  return Buffer.concat([header, payload])
}

/** Where the last of eight key slots ends. */
const tightPayloadSector = 4040

/** LUKS On-Disk Format 1.2.3, 2.4: where the header says in which sector the payload begins. */
const payloadOffsetField = 104
