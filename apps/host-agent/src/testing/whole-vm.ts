import assert from 'node:assert/strict'
import { createXts } from '@cryptvisor/crypto'
import type { DiskAuthority, VmAuthority } from '@cryptvisor/host-agent-api'
import { parseHeader, recordPlaceOf } from '@cryptvisor/luks'
import { Qcow2Image } from '@cryptvisor/qcow2'
import type { SimulatedStorage } from '@cryptvisor/testkit'
import { keyName, layerName } from '../disk/layer-file.ts'
import { openDisk } from '../disk/open-disk.ts'
import type { KeyCache } from '../key-cache.ts'
import { lockStateOf } from '../operation/lock-state.ts'
import { datastorePath, simulatedHost } from './simulated-host.ts'

/** Stands in VM Home; where that is encrypted it lies nowhere on the disk. */
export const homeMark = 'a note that nobody else may read'

/** What stands in the contents of a disk whose number for tests is `number`, again and again. */
export function diskMark(number: number): string {
  return `disk-mark-${number}`
}

/** What lies on a simulated datastore, as far as it is known. */
export interface Known {
  readonly keys: KeyCache
  /** What each disk holds, by its ID: as an image of its format, or as raw bytes where it became thin. */
  readonly contents: ReadonlyMap<string, Buffer>
}

/** A layer that belongs to no VM, and the folder in which it lies. */
export interface LooseLayer {
  readonly folder: string
  readonly disk: DiskAuthority
}

/**
 * Throws unless exactly these VMs and loose layers are there, whole: every file of theirs and no other, all of it opens with the keys held, each
 * disk holds what it must, what is encrypted lies nowhere in plain, and nothing names a KEK that is not theirs.
 */
export async function assertWhole(
  storage: SimulatedStorage,
  known: Known,
  vms: readonly VmAuthority[],
  loose: readonly LooseLayer[] = [],
): Promise<void> {
  const files = storage.files()
  const expected = [...vms.flatMap((vm) => pathsOf(vm, files)), ...loose.flatMap((layer) => pathsOfLoose(layer, vms))]
  // Its outcome is on record, but whether the journal went is for the next operation to see to.
  const journals = vms.map(({ folder }) => `${datastorePath}/${folder}/journal.json`)
  const found = storage.paths().filter((path) => path.startsWith(`${datastorePath}/`) && !journals.includes(path))
  assert.deepEqual(found.toSorted(), expected.toSorted())
  const plain = vms.some(({ encryption }) => encryption === null)
  if (vms.length > 0 && !plain) assertNowhere(files, homeMark)
  for (const vm of vms) {
    assert.deepEqual(await lockStateOf(simulatedHost(storage, known.keys), vm), { state: 'unlocked', reason: null })
    for (const disk of vm.disks) await assertHolds(storage, known, vm.folder, disk, files)
  }
  for (const { folder, disk } of loose) await assertHolds(storage, known, folder, disk, files)
  const disks = [...vms.flatMap((vm) => vm.disks), ...loose.map(({ disk }) => disk)]
  const named = [...vms, ...disks].flatMap(({ encryption }) => encryption?.keys ?? [])
  const others = known.keys.keys.filter(({ keyId }) => named.every((key) => key.keyId !== keyId))
  const settled = new Map([...files].filter(([path]) => !journals.includes(path)))
  for (const { keyId } of others) assertNowhere(settled, `"${keyId}"`)
  for (const { keyId } of others) assertNowhere(settled, `/${keyId}"`)
  for (const mark of new Set(disks.flatMap(({ diskId }) => markOf(known.contents.get(diskId))))) {
    const holders = disks.filter(({ diskId }) => markOf(known.contents.get(diskId)).includes(mark))
    if (holders.every(({ encryption }) => encryption !== null)) assertNowhere(files, mark)
  }
}

/** The paths of all that belongs to a VM. */
function pathsOf(vm: VmAuthority, files: ReadonlyMap<string, Buffer>): string[] {
  const folder = `${datastorePath}/${vm.folder}`
  // The configuration's generation is looked at with the rest when the VM is opened.
  const document = JSON.parse(String(files.get(`${folder}/vm.json`))) as { home: { generation: number } }
  const configuration = `config.${document.home.generation}.${vm.encryption === null ? 'json' : 'sealed'}`
  return [
    '',
    'vm.json',
    'vm.lock',
    'home/',
    `home/${configuration}`,
    ...(vm.encryption === null ? [] : ['vm.keysafe']),
    ...vm.disks.map(layerName),
    ...vm.disks.filter((disk) => hasKeyFile(vm, disk, files)).map(({ layerId }) => keyName(layerId)),
  ].map((name) => `${folder}/${name}`)
}

/** Its folder, where no VM's files lie there, and its file. */
function pathsOfLoose({ folder, disk }: LooseLayer, vms: readonly VmAuthority[]): string[] {
  const path = `${datastorePath}/${folder}`
  return [...(vms.some((vm) => vm.folder === folder) ? [] : [`${path}/`]), `${path}/${layerName(disk)}`]
}

/** Whether the header of a disk has no room for its key record. */
function hasKeyFile({ folder }: VmAuthority, disk: DiskAuthority, files: ReadonlyMap<string, Buffer>): boolean {
  const file = files.get(`${datastorePath}/${folder}/${layerName(disk)}`)
  return disk.encryption !== null && file !== undefined && recordPlaceOf(parseHeader(file)) === 'file'
}

async function assertHolds(
  storage: SimulatedStorage,
  { keys, contents }: Known,
  vmFolder: string,
  disk: DiskAuthority,
  files: ReadonlyMap<string, Buffer>,
): Promise<void> {
  const content = contents.get(disk.diskId)
  const file = files.get(`${datastorePath}/${vmFolder}/${layerName(disk)}`)
  assert.ok(content !== undefined && file !== undefined)
  const payload = await payloadOf(storage, keys, vmFolder, disk, file)
  const found = disk.format === 'qcow2' && !isQcow2(content) ? guestBytesOf(payload) : payload
  assert.ok(found.equals(content), `disk ${disk.number} of ${vmFolder} holds something else`)
}

function isQcow2(image: Buffer): boolean {
  return image.subarray(0, 4).equals(Buffer.from('QFI\xfb', 'latin1'))
}

/** What a guest reads of a qcow2 image. */
function guestBytesOf(image: Buffer): Buffer {
  const { disk } = new Qcow2Image({
    sizeBytes: image.length,
    readAt: (offsetBytes, target) => target.set(image.subarray(offsetBytes, offsetBytes + target.length)),
  })
  const bytes = Buffer.alloc(disk.sizeBytes)
  disk.read(0, bytes)
  return bytes
}

function markOf(content: Buffer | undefined): string[] {
  const found = /disk-mark-[0-9]+/.exec(content?.toString('latin1') ?? '')
  return found === null ? [] : [found[0]]
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
