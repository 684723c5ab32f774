import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { createXts } from '@cryptvisor/crypto'
import type { KeyReference, OperationRequest, VmAuthority } from '@cryptvisor/host-agent-api'
import { Secret } from '@cryptvisor/secret'
import { type SeededRandom, SimulatedStorage } from '@cryptvisor/testkit'
import { openDisk } from '../disk/open-disk.ts'
import { KeyCache } from '../key-cache.ts'
import { lockStateOf } from '../operation/lock-state.ts'
import type { Scenario } from './crash-simulation.ts'
import { datastorePath, runToEnd, simulatedHost, startedOperations } from './simulated-host.ts'
import { newVm } from './test-vm.ts'

const sectorBytes = 512

/** How far an encrypted payload lies behind the plain disk. */
export const shiftBytes = 2_097_152

/** Stands in every sector of the disk, and nowhere else. */
export const diskMark = 'device-mark'

export const devicePath = '/dev/vda'

/** A device that no disk lies on. */
export const otherDevicePath = '/dev/vdb'
export const otherDeviceBytes = 1_048_576

const details = { memoryMib: 512, cpuCount: 1, firmware: 'bios', notes: 'made by a test' } as const
const policy = 'a policy'

/** A simulated host with a VM whose disk is a block device. */
export class DeviceVm implements Disposable {
  readonly keys = new KeyCache()
  readonly key: KeyReference = { provider: 'kms', keyId: 'key-1' }
  readonly storage: SimulatedStorage
  readonly content: Buffer
  #vm: VmAuthority = newVm(datastorePath)

  private constructor(storage: SimulatedStorage, content: Buffer) {
    this.storage = storage
    this.content = content
    this.keys.add(this.key, Secret.random(32))
  }

  /** With a plain disk of `sizeBytes`; the device has `spareBytes` more. */
  static async make(random: SeededRandom, sizeBytes: number, spareBytes = shiftBytes): Promise<DeviceVm> {
    const content = contentOf(random, sizeBytes)
    const devices = { [devicePath]: sizeBytes + spareBytes, [otherDevicePath]: otherDeviceBytes }
    const storage = new SimulatedStorage({ fileSystems: { [datastorePath]: {}, '/agent': {} }, devices })
    await using device = await storage.openDevice(devicePath, 'write')
    await device.write(content, 0)
    await device.sync()
    await device[Symbol.asyncDispose]()
    const made = new DeviceVm(storage, content)
    await made.run({ kind: 'create-vm', vm: made.vm, details, key: null })
    await made.run(made.addDisk(sizeBytes))
    return made
  }

  get vm(): VmAuthority {
    return this.#vm
  }

  /** Does something to the VM that has to be done. */
  async run(request: OperationRequest): Promise<void> {
    const id = randomUUID()
    await using operations = startedOperations(this.storage, this.keys)
    const { vm, error } = await runToEnd(operations, id, request, null)
    assert.ok(vm !== null, `${request.kind}: ${error?.code} ${error?.message}`)
    await operations.forget(id)
    this.#vm = vm
  }

  addDisk(virtualBytes: number) {
    const { vm } = this
    const disk = { diskId: randomUUID(), number: vm.disks.length, format: 'raw', virtualBytes, policy } as const
    return { kind: 'add-disk', vm, ...disk, key: null, device: devicePath } satisfies OperationRequest
  }

  /** Encrypts the disk; VM Home too, where it is plain. */
  encrypt(): Extract<OperationRequest, { kind: 'encrypt' }> {
    const { vm, key } = this
    const home = vm.encryption === null ? { key, policy } : null
    return { kind: 'encrypt', vm, home, disks: vm.disks.map(({ diskId }) => ({ diskId, key, policy })) }
  }

  /** Decrypts the disk and VM Home. */
  decrypt(): Extract<OperationRequest, { kind: 'decrypt' }> {
    const { vm } = this
    return { kind: 'decrypt', vm, home: { policy }, disks: vm.disks.map(({ diskId }) => ({ diskId, policy })) }
  }

  scenario(name: string, request: OperationRequest): Scenario {
    const { storage, keys, vm: before } = this
    const checkWhole: Scenario['checkWhole'] = async (found, vm) => {
      assert.ok(vm !== null)
      await this.checkWhole(found, vm === 'before' ? before : vm)
    }
    return { name, storage, keys, request, content: null, checkWhole }
  }

  /** Throws unless exactly this VM is there: no file of the operation is left, and the disk holds what it held. */
  async checkWhole(storage: SimulatedStorage, vm: VmAuthority): Promise<void> {
    const sealed = vm.encryption !== null
    const folder = `${datastorePath}/${vm.folder}`
    const names = storage.paths().filter((path) => path.startsWith(`${folder}/`) && !path.includes('/config.'))
    const expected = ['', 'home/', 'vm.json', ...(sealed ? ['vm.keysafe'] : []), 'vm.lock']
    const left = names.filter((path) => path !== `${folder}/journal.json`)
    assert.deepEqual(left.toSorted(), expected.map((name) => `${folder}/${name}`).toSorted())
    assert.deepEqual(await lockStateOf(simulatedHost(storage, this.keys), vm), { state: 'unlocked', reason: null })
    const found = await this.payloadOf(storage, vm)
    assert.ok(found.equals(this.content), 'the disk holds something else')
  }

  /** What the disk holds, read and decrypted in one go and not by the data path. */
  async payloadOf(storage: SimulatedStorage, vm: VmAuthority): Promise<Buffer> {
    const device = deviceOf(storage)
    const [disk] = vm.disks
    assert.ok(disk !== undefined)
    if (disk.encryption === null) return device.subarray(0, disk.payloadBytes)
    assert.ok(!device.includes(diskMark), 'plaintext is left on the device')
    await using datastore = await simulatedHost(storage, this.keys).datastores.open({ datastorePath })
    await using folder = await datastore.folder(vm.folder)
    using loan = this.keys.borrow(this.key)
    assert.ok(folder !== null && loan !== null)
    using layer = await openDisk(folder, disk, [loan])
    const { payloadOffsetBytes, sizeBytes, volumeKey } = layer.image
    using cipher = createXts(volumeKey)
    const payload = Buffer.from(device.subarray(payloadOffsetBytes, payloadOffsetBytes + sizeBytes))
    cipher.decrypt(payload, 0)
    return payload
  }

  [Symbol.dispose](): void {
    this.keys[Symbol.dispose]()
  }
}

/** All that lies on the device. */
export function deviceOf(storage: SimulatedStorage): Buffer {
  const device = storage.files().get(devicePath)
  assert.ok(device !== undefined)
  return device
}

/** Sectors that all differ and are all marked. */
function contentOf(random: SeededRandom, sizeBytes: number): Buffer {
  const content = random.bytes(sizeBytes)
  for (let at = 0; at < sizeBytes; at += sectorBytes) content.write(`${diskMark} ${at} `, at)
  return content
}
