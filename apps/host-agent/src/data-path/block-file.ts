import { readSync, writeSync } from 'node:fs'

/** What a job reads and writes, blocking. A StorageFile is one. */
export interface BlockFile {
  /** Gives how much of `bytes` it filled; 0 at the end. */
  readSync(bytes: Uint8Array, position: number): number
  /** Gives how much of `bytes` it took. */
  writeSync(bytes: Uint8Array, position: number): number
}

/** A file that the main thread holds open, in a worker thread. */
export class DescriptorFile implements BlockFile {
  readonly #descriptor: number

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  readSync(bytes: Uint8Array, position: number): number {
    return readSync(this.#descriptor, bytes, 0, bytes.length, position)
  }

  writeSync(bytes: Uint8Array, position: number): number {
    return writeSync(this.#descriptor, bytes, 0, bytes.length, position)
  }
}
