import {
  directAlignmentBytes,
  errno,
  type StorageAccess,
  type StorageFile,
  type StorageStats,
} from '@cryptvisor/storage'
import { pageBytes } from './contents.ts'
import type { FileSystem } from './disk.ts'
import { PowerCut } from './fault.ts'
import type { Machine } from './machine.ts'
import { statsOf } from './node-stats.ts'

/** How a file was opened. */
export interface Opening {
  readonly path: string
  readonly node: number
  readonly access: StorageAccess
  readonly direct: boolean
  /** `null` for a device. */
  readonly fileSystem: FileSystem | null
}

/** An open file or device of a simulated machine. It stays what it is whatever becomes of its name. */
export class SimulatedFile implements StorageFile {
  readonly path: string
  readonly direct: boolean
  readonly descriptor = null
  readonly #machine: Machine
  readonly #node: number
  readonly #access: StorageAccess
  readonly #fileSystem: FileSystem | null
  #open = true

  constructor(machine: Machine, { path, node, access, direct, fileSystem }: Opening) {
    this.path = path
    this.direct = direct
    this.#machine = machine
    this.#node = node
    this.#access = access
    this.#fileSystem = fileSystem
    machine.opened(node, fileSystem?.root ?? null)
    if (fileSystem === null && access === 'write') machine.writers.add(node)
  }

  async stat(): Promise<StorageStats> {
    this.#call('stat')
    return statsOf(this.#machine.disk, this.#node, this.#fileSystem)
  }

  readSync(bytes: Uint8Array, position: number): number {
    const outcome = this.#call('read', position, bytes.length)
    this.#checkAligned(bytes, position)
    const sizeBytes = outcome !== null && 'sizeBytesMax' in outcome ? outcome.sizeBytesMax : bytes.length
    const count = this.#machine.disk.file(this.#node).contents.read(bytes.subarray(0, sizeBytes), position)
    if (outcome !== null && 'flipBit' in outcome && count > 0) {
      const at = Math.floor(outcome.flipBit / 8) % count
      // `at` is below `count`, so the byte is there.
      bytes[at] = (bytes[at] ?? 0) ^ (1 << (outcome.flipBit % 8))
    }
    return count
  }

  writeSync(bytes: Uint8Array, position: number): number {
    const outcome = this.#call('write', position, bytes.length)
    this.#checkWritable()
    this.#checkAligned(bytes, position)
    const asked = outcome !== null && 'sizeBytesMax' in outcome ? outcome.sizeBytesMax : bytes.length
    const room = this.#roomFrom(position, asked)
    if (room === 0 && asked > 0) throw errno('ENOSPC', `write ${this.path}`)
    if (room === 0) return 0
    // A copy: what is on the disk is not what its writer does with its buffer later.
    const kept = new Uint8Array(bytes.subarray(0, room))
    this.#machine.change({ kind: 'write', path: this.path, node: this.#node, position, bytes: kept })
    return room
  }

  async read(bytes: Uint8Array, position: number): Promise<number> {
    return this.readSync(bytes, position)
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    return this.writeSync(bytes, position)
  }

  async truncate(sizeBytes: number): Promise<void> {
    this.#call('truncate')
    this.#checkWritable()
    if (this.#fileSystem === null || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0) {
      throw errno('EINVAL', `truncate ${this.path}`)
    }
    this.#machine.change({ kind: 'truncate', path: this.path, node: this.#node, sizeBytes })
  }

  async allocate(sizeBytes: number): Promise<boolean> {
    this.#call('allocate')
    this.#checkWritable()
    if (this.#fileSystem === null) return false
    const missing = this.#machine.disk.file(this.#node).contents.missingPages(0, sizeBytes)
    if (missing * pageBytes > this.#machine.freeBytes(this.#fileSystem)) throw errno('ENOSPC', `allocate ${this.path}`)
    this.#machine.change({ kind: 'allocate', path: this.path, node: this.#node, sizeBytes })
    return true
  }

  async sync(): Promise<void> {
    const event = { kind: 'sync', path: this.path, node: this.#node } as const
    try {
      this.#call('sync')
    } catch (error) {
      if (this.#open && !(error instanceof PowerCut)) this.#machine.change({ ...event, failed: true })
      throw error
    }
    if (this.#fileSystem?.lies !== true) this.#machine.change({ ...event, failed: false })
  }

  async lock(): Promise<boolean> {
    this.#call('lock')
    if (this.#fileSystem?.locks === false) throw errno('ENOLCK', `lock ${this.path}`)
    const holder = this.#machine.locks.get(this.#node)
    if (holder !== undefined && holder !== this) return false
    this.#machine.locks.set(this.#node, this)
    return true
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#open) return
    this.#open = false
    if (this.#machine.locks.get(this.#node) === this) this.#machine.locks.delete(this.#node)
    if (this.#fileSystem === null && this.#access === 'write') this.#machine.writers.delete(this.#node)
    this.#machine.closed(this.#node)
  }

  #call(kind: 'stat' | 'read' | 'write' | 'truncate' | 'allocate' | 'sync' | 'lock', position = 0, sizeBytes = 0) {
    if (!this.#open) throw errno('EBADF', `${this.path} was closed`)
    return this.#machine.call({ kind, path: this.path, position, sizeBytes })
  }

  #checkWritable(): void {
    if (this.#access === 'read') throw errno('EBADF', `${this.path} is open for reading only`)
  }

  #checkAligned(bytes: Uint8Array, position: number): void {
    if (!Number.isSafeInteger(position) || position < 0) throw errno('EINVAL', `${this.path}: position ${position}`)
    if (!this.direct) return
    for (const [what, value] of Object.entries({ position, size: bytes.length, memory: bytes.byteOffset })) {
      if (value % directAlignmentBytes !== 0) {
        throw errno('EINVAL', `${this.path}: ${what} ${value} is no multiple of ${directAlignmentBytes}`)
      }
    }
  }

  /** How many of `sizeBytes` bytes from `position` on there is room for. */
  #roomFrom(position: number, sizeBytes: number): number {
    const { contents } = this.#machine.disk.file(this.#node)
    if (this.#fileSystem === null) return Math.max(0, Math.min(sizeBytes, contents.sizeBytes - position))
    let freePages = Math.floor(this.#machine.freeBytes(this.#fileSystem) / pageBytes)
    if (contents.missingPages(position, position + sizeBytes) <= freePages) return sizeBytes
    for (let at = position; at < position + sizeBytes; ) {
      const end = Math.min(position + sizeBytes, (Math.floor(at / pageBytes) + 1) * pageBytes)
      freePages -= contents.missingPages(at, end)
      if (freePages < 0) return at - position
      at = end
    }
    return sizeBytes
  }
}
