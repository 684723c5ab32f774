import { readSync, writeSync } from 'node:fs'
import type { directAlignmentBytes } from '@cryptvisor/storage'

/** What direct reads and writes are aligned to, for lanes: a thread that loads all of the storage for it begins later. */
export const alignmentBytes: typeof directAlignmentBytes = 4096

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
