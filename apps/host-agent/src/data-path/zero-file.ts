import type { StorageFile, StorageStats } from '@cryptvisor/storage'
import type { BlockFile } from './block-file.ts'
import type { Place } from './place.ts'

/** What a job reads where there is no file: zeros, at any place. Throws for a write. */
export const zeroBytes: BlockFile = {
  readSync: (bytes) => {
    bytes.fill(0)
    return bytes.length
  },
  writeSync: () => refuse(),
}

/** A file that nobody keeps: so many zeros, to read only. */
export class ZeroFile implements StorageFile {
  readonly path = 'zeros'
  /** None: each thread reads zeros of its own. */
  readonly descriptor = null
  readonly direct = false
  readonly #sizeBytes: number

  constructor(sizeBytes: number) {
    this.#sizeBytes = sizeBytes
  }

  async stat(): Promise<StorageStats> {
    return statsOf(this.#sizeBytes)
  }

  readSync(bytes: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(bytes.length, this.#sizeBytes - position))
    bytes.fill(0, 0, count)
    return count
  }

  async read(bytes: Uint8Array, position: number): Promise<number> {
    return this.readSync(bytes, position)
  }

  writeSync(): number {
    return refuse()
  }

  async write(): Promise<number> {
    return refuse()
  }

  async truncate(): Promise<void> {
    refuse()
  }

  async allocate(): Promise<boolean> {
    return refuse()
  }

  async sync(): Promise<void> {}

  async lock(): Promise<boolean> {
    return refuse()
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** The place of `sizeBytes` zeros, for an image that is to be empty. Rejects with `EROFS` for what would change it. */
export function zeroPlace(sizeBytes: number): Place {
  return {
    path: 'zeros',
    kind: 'file',
    open: async (access, { direct = false } = {}) => {
      if (access === 'write') return refuse()
      // As the kernel says of a file that has no direct reads.
      if (direct) throw Object.assign(new Error('EINVAL: zeros have no direct reads'), { code: 'EINVAL' })
      return new ZeroFile(sizeBytes)
    },
    create: async () => refuse(),
    stat: async () => statsOf(sizeBytes),
    remove: async () => refuse(),
    syncName: async () => {},
    freeBytes: async () => 0,
  }
}

function statsOf(sizeBytes: number): StorageStats {
  return { kind: 'file', sizeBytes, allocatedBytes: 0, modifiedNs: 0n, linkCount: 1, identity: 'zeros' }
}

function refuse(): never {
  throw Object.assign(new Error('EROFS: zeros are to be read only'), { code: 'EROFS' })
}
