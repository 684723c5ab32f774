import { readSync, writeSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import type { DescriptorTools } from './descriptor-tools.ts'
import { errno } from './errno.ts'
import { statsOf } from './node-stats.ts'
import type { StorageFile, StorageStats } from './storage.ts'

/** An open file or block device of the kernel's. */
export class NodeFile implements StorageFile {
  readonly path: string
  readonly direct: boolean
  readonly #handle: FileHandle
  readonly #tools: DescriptorTools
  readonly #deviceBytes: number | null

  /** Takes `handle` over. `deviceBytes`: what a block device holds; `null` for a file. */
  constructor(path: string, handle: FileHandle, direct: boolean, tools: DescriptorTools, deviceBytes: number | null) {
    this.path = path
    this.direct = direct
    this.#handle = handle
    this.#tools = tools
    this.#deviceBytes = deviceBytes
  }

  get descriptor(): number {
    return this.#descriptor()
  }

  async stat(): Promise<StorageStats> {
    return statsOf(await this.#handle.stat({ bigint: true }), this.#deviceBytes)
  }

  readSync(bytes: Uint8Array, position: number): number {
    return readSync(this.#descriptor(), bytes, 0, bytes.length, position)
  }

  writeSync(bytes: Uint8Array, position: number): number {
    return writeSync(this.#descriptor(), bytes, 0, bytes.length, position)
  }

  async read(bytes: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.read(bytes, 0, bytes.length, position)).bytesRead
  }

  async write(bytes: Uint8Array, position: number): Promise<number> {
    return (await this.#handle.write(bytes, 0, bytes.length, position)).bytesWritten
  }

  async truncate(sizeBytes: number): Promise<void> {
    await this.#handle.truncate(sizeBytes)
  }

  async allocate(sizeBytes: number): Promise<boolean> {
    const descriptor = this.#descriptor()
    return this.#deviceBytes === null && (await this.#tools.allocate(descriptor, sizeBytes))
  }

  async sync(): Promise<void> {
    await this.#handle.sync()
  }

  async lock(): Promise<boolean> {
    return await this.#tools.lock(this.#descriptor())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }

  /** The number of a closed file may be another one's by now. */
  #descriptor(): number {
    if (this.#handle.fd < 0) throw errno('EBADF', `${this.path} was closed`)
    return this.#handle.fd
  }
}
