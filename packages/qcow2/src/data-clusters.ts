import { Qcow2Error } from './qcow2-error.ts'
import { clustersPerTable, thinClusterSizeBytes, wholeSectors } from './thin-format.ts'

/** Limit on a disk whose data is marked: 64 TiB, for which the marks take 128 MiB of address space. */
export const thinDiskSizeMaxBytes = 2 ** 46

/** What worker threads are handed to work on the same marks. */
export interface SharedDataClusters {
  readonly virtualSizeBytes: number
  readonly bits: SharedArrayBuffer
  readonly counts: SharedArrayBuffer
}

const clustersPerWord = 32

/**
 * Which clusters of a guest's disk have data, one bit for each 64 KiB. Starts without any; several threads may mark at
 * once. Pages of the bitmap that nobody marks stay untouched.
 */
export class DataClusters {
  readonly shared: SharedDataClusters
  readonly #words: Uint32Array
  readonly #counts: Uint32Array

  private constructor(shared: SharedDataClusters) {
    this.shared = shared
    this.#words = new Uint32Array(shared.bits)
    this.#counts = new Uint32Array(shared.counts)
  }

  /** No data yet. Throws a Qcow2Error `bad-size` for a disk that is not whole sectors, or over `thinDiskSizeMaxBytes`. */
  static none(virtualSizeBytes: number): DataClusters {
    wholeSectors(virtualSizeBytes, thinDiskSizeMaxBytes)
    const clusterCount = Math.ceil(virtualSizeBytes / thinClusterSizeBytes)
    return new DataClusters({
      virtualSizeBytes,
      bits: new SharedArrayBuffer(Math.ceil(clusterCount / clustersPerWord) * Uint32Array.BYTES_PER_ELEMENT),
      counts: new SharedArrayBuffer(Math.ceil(clusterCount / clustersPerTable) * Uint32Array.BYTES_PER_ELEMENT),
    })
  }

  /** The same marks in another thread. */
  static of(shared: SharedDataClusters): DataClusters {
    return new DataClusters(shared)
  }

  get virtualSizeBytes(): number {
    return this.shared.virtualSizeBytes
  }

  /** Marks each cluster that has a byte of this stretch of the disk. Throws a Qcow2Error `out-of-range`. */
  mark(offsetBytes: number, sizeBytes: number): void {
    const endBytes = offsetBytes + sizeBytes
    if (
      !(Number.isSafeInteger(offsetBytes) && Number.isSafeInteger(sizeBytes) && offsetBytes >= 0 && sizeBytes >= 0) ||
      endBytes > this.virtualSizeBytes
    ) {
      throw new Qcow2Error('out-of-range', `${offsetBytes} to ${endBytes}: the disk has ${this.virtualSizeBytes} bytes`)
    }
    if (sizeBytes === 0) return
    const last = Math.floor((endBytes - 1) / thinClusterSizeBytes)
    for (let cluster = Math.floor(offsetBytes / thinClusterSizeBytes); cluster <= last; ) {
      const bit = cluster % clustersPerWord
      const bitCount = Math.min(clustersPerWord - bit, last - cluster + 1)
      this.#markBits(Math.floor(cluster / clustersPerWord), (0xffff_ffff >>> (clustersPerWord - bitCount)) << bit)
      cluster += bitCount
    }
  }

  has(cluster: number): boolean {
    return ((this.word(Math.floor(cluster / clustersPerWord)) >>> (cluster % clustersPerWord)) & 1) === 1
  }

  /** 32 marks at once; the lowest bit is cluster `index * 32`. */
  word(index: number): number {
    return this.#words[index] ?? 0
  }

  /** How many clusters have data among those that L2 table `table` describes. */
  countIn(table: number): number {
    return this.#counts[table] ?? 0
  }

  #markBits(index: number, mask: number): void {
    const before = Atomics.or(this.#words, index, mask)
    const added = mask & ~before
    if (added === 0) return
    Atomics.add(this.#counts, Math.floor((index * clustersPerWord) / clustersPerTable), bitCountOf(added))
  }
}

/** How many of the 32 bits are set. */
export function bitCountOf(word: number): number {
  let sums = word - ((word >>> 1) & 0x5555_5555)
  sums = (sums & 0x3333_3333) + ((sums >>> 2) & 0x3333_3333)
  sums = (sums + (sums >>> 4)) & 0x0f0f_0f0f
  return Math.imul(sums, 0x0101_0101) >>> 24
}
