import { posix } from 'node:path'
import {
  errno,
  type OpenOptions,
  type Storage,
  type StorageAccess,
  type StorageFile,
  type StorageFolder,
} from '@cryptvisor/storage'
import type { Disk } from './disk.ts'
import type { DiskEvent, Plant } from './disk-event.ts'
import { changingCalls, type Fault, type FaultOutcome, type StorageCallKind } from './fault.ts'
import { emptyDisk, ownClock, type SimulatedHardware } from './hardware.ts'
import { Machine } from './machine.ts'
import { resolve } from './resolve.ts'
import { SimulatedFile } from './simulated-file.ts'
import { SimulatedFolder } from './simulated-folder.ts'
import { luckOf, type Survival } from './survival.ts'

/**
 * File systems and devices in memory, as true to a hard disk and to POSIX as matters to whoever may lose power. Everything
 * that changes something or makes it durable is an event of `trace`; what was recorded once can be cut at any of them.
 */
export class SimulatedStorage implements Storage {
  readonly #hardware: SimulatedHardware
  readonly #before: Disk
  readonly #machine: Machine

  /** Empty file systems and devices that read as zeros; `disk` is what a cut left. */
  constructor(hardware: SimulatedHardware = {}, disk: Disk = emptyDisk(hardware)) {
    this.#hardware = { ...hardware, nowNs: hardware.nowNs ?? ownClock() }
    this.#before = disk
    this.#machine = new Machine(disk.copy(), this.#hardware.nowNs ?? ownClock())
  }

  /** What changed something or made it durable since this storage was made, in order. */
  get trace(): readonly DiskEvent[] {
    return this.#machine.trace
  }

  /**
   * The storage as it is found when right before event `at` of the trace the power went, or the process was killed. Its own
   * trace begins there; nothing is open in it, and no fault comes.
   */
  cut(at: number, survival: Survival): SimulatedStorage {
    if (!Number.isInteger(at) || at < 0 || at > this.trace.length) throw new RangeError(`there is no event ${at}`)
    const disk = this.#before.copy()
    for (const event of this.trace.slice(0, at)) disk.apply(event)
    return new SimulatedStorage(this.#hardware, survival === 'killed' ? disk : disk.settled(luckOf(survival)))
  }

  /** The storage as it is now, all of it durable, with another capacity of the file system at `path`. */
  withCapacity(path: string, capacityBytes: number): SimulatedStorage {
    return new SimulatedStorage(
      this.#hardware,
      this.#machine.disk.settled(luckOf('everything')).withCapacity(path, capacityBytes),
    )
  }

  /** How much room the files in the file system at `path` take. */
  usedBytes(path: string): number {
    const { disk } = this.#machine
    const fileSystem = disk.fileSystems.get(path)
    if (fileSystem === undefined) throw new Error(`there is no file system at ${path}`)
    return disk.usedBytes(disk.below(fileSystem.root))
  }

  /** Once that many events have happened, every call throws PowerCut. */
  stopAt(eventCount: number): void {
    this.#machine.stopAt(eventCount)
  }

  /** Lets calls fail that are still to come. */
  fail(fault: Fault): void {
    this.#machine.faults.add(fault)
  }

  /** Lets the next call of a kind fail. */
  failNext(kind: StorageCallKind, outcome: FaultOutcome): void {
    this.fail({ when: (call) => call.kind === kind, outcome, times: 1 })
  }

  /** Lets the call fail that would be event `at`. */
  failAt(at: number, outcome: FaultOutcome): void {
    this.fail({ when: ({ kind, eventCount }) => eventCount === at && changingCalls.has(kind), outcome, times: 1 })
  }

  /** No fault comes any more. */
  clearFaults(): void {
    this.#machine.faults.clear()
  }

  async openFolder(path: string): Promise<StorageFolder | null> {
    this.#machine.call({ kind: 'open', path })
    const found = resolve(this.#machine.disk, path)
    if (found === null) return null
    if (this.#machine.disk.node(found.node).kind !== 'folder') throw errno('ENOTDIR', `open ${path}`)
    return new SimulatedFolder(this.#machine, path, found.node, found.fileSystem)
  }

  async openDevice(path: string, access: StorageAccess, { direct = false }: OpenOptions = {}): Promise<StorageFile> {
    this.#machine.call({ kind: 'open', path })
    const node = this.#machine.disk.devices.get(path)
    if (node === undefined) {
      throw errno(resolve(this.#machine.disk, path) === null ? 'ENOENT' : 'ENOTBLK', `open ${path}`)
    }
    if (access === 'write' && this.#machine.writers.has(node)) throw errno('EBUSY', `open ${path}`)
    return new SimulatedFile(this.#machine, { path, node, access, direct, fileSystem: null })
  }

  /** Puts something at a path, durable at once, in place of what is there; the folders above it are made. An event, too. */
  plant(path: string, plant: Plant): void {
    const [name, above] = [posix.basename(path), posix.dirname(path)]
    if (resolve(this.#machine.disk, above) === null) this.plant(above, { kind: 'folder' })
    const folder = resolve(this.#machine.disk, above)?.node
    if (folder === undefined || name === '') throw new Error(`no file system holds ${path}`)
    this.#machine.change({ kind: 'plant', path, folder, name, plant })
  }

  /** The bytes of all files that have a name, and of all devices, by their paths. */
  files(): Map<string, Buffer> {
    return this.#machine.disk.files()
  }

  /** Everything that has a name by its path; folders end with a slash. */
  paths(): string[] {
    return this.#machine.disk.paths()
  }

  /** All bytes that can still be reached, one file after the other: to look for what must not be there any more. */
  liveBytes(): Buffer {
    return Buffer.concat([...this.files().values()])
  }
}
