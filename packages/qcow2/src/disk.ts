import type { ClusterMap, CompressedRun, Run } from './cluster-map.ts'
import { decompress } from './decompress.ts'
import type { Qcow2Header } from './header.ts'
import type { ImageSource } from './image-source.ts'
import { Qcow2Error } from './qcow2-error.ts'

/** A stretch of a guest's disk. What is not `data` reads as zeros; `zero` was said to be so, `unallocated` never written. */
export interface Extent {
  readonly kind: 'data' | 'zero' | 'unallocated'
  readonly offsetBytes: number
  readonly sizeBytes: number
}

/** The guest's disk inside a qcow2 image: its active state, or that of a snapshot. */
export class Qcow2Disk {
  readonly sizeBytes: number
  readonly #source: ImageSource
  readonly #header: Qcow2Header
  readonly #map: ClusterMap
  /** The compressed cluster that was read last, so that small reads do not unpack it again and again. */
  #unpacked: { readonly hostOffset: number; readonly plain: Uint8Array } | null = null

  /** `Qcow2Image` makes these. */
  constructor(source: ImageSource, header: Qcow2Header, map: ClusterMap, sizeBytes: number) {
    this.#source = source
    this.#header = header
    this.#map = map
    this.sizeBytes = sizeBytes
  }

  /**
   * Fills `target` with what the guest has at `offsetBytes`. Clusters that lie behind one another in the image are one
   * read. Throws a Qcow2Error: `out-of-range` when the disk ends before, `bad-table-entry`, `truncated`,
   * `bad-compressed-cluster` for a damaged image; and what the source throws.
   */
  read(offsetBytes: number, target: Uint8Array): void {
    const endBytes = offsetBytes + target.length
    this.#requireRange(offsetBytes, endBytes)
    for (let at = offsetBytes; at < endBytes; ) {
      const run = this.#map.run(at, endBytes)
      this.#readRun(run, target.subarray(at - offsetBytes, at - offsetBytes + run.sizeBytes))
      at += run.sizeBytes
    }
  }

  /**
   * The disk from `startBytes` to `endBytes`, all of it without them, as stretches in ascending order, without gaps and
   * each as long as it can be, up to `longestBytes`: finding a long one takes long. Reads the tables only. Throws a Qcow2Error as `read` does, and `bad-table-entry` when there is
   * more data than the image has room for, as where clusters are named twice.
   */
  *extents(
    startBytes = 0,
    endBytes: number = this.sizeBytes,
    longestBytes: number = Number.POSITIVE_INFINITY,
  ): Generator<Extent, void, undefined> {
    this.#requireRange(startBytes, endBytes)
    let roomBytes = this.#source.sizeBytes + this.#header.clusterSizeBytes
    for (let at = startBytes; at < endBytes; ) {
      const { storedBytes, ...extent } = this.#extent(at, Math.min(at + longestBytes, endBytes))
      roomBytes -= storedBytes
      if (roomBytes < 0) {
        throw new Qcow2Error('bad-table-entry', 'qcow2 L2 tables: they name more data than the image has room for')
      }
      yield extent
      at += extent.sizeBytes
    }
  }

  /** `storedBytes` are those that lie in the image as they are. */
  #extent(offsetBytes: number, endBytes: number): Extent & { readonly storedBytes: number } {
    const first = this.#map.run(offsetBytes, endBytes)
    const kind = kindOf(first)
    let { sizeBytes } = first
    let storedBytes = storedIn(first)
    while (offsetBytes + sizeBytes < endBytes) {
      const next = this.#map.run(offsetBytes + sizeBytes, endBytes)
      if (kindOf(next) !== kind) break
      sizeBytes += next.sizeBytes
      storedBytes += storedIn(next)
    }
    return { kind, offsetBytes, sizeBytes, storedBytes }
  }

  #requireRange(startBytes: number, endBytes: number): void {
    const whole = Number.isSafeInteger(startBytes) && Number.isSafeInteger(endBytes)
    if (whole && startBytes >= 0 && startBytes <= endBytes && endBytes <= this.sizeBytes) return
    throw new Qcow2Error('out-of-range', `${startBytes} to ${endBytes}: the disk has ${this.sizeBytes} bytes`)
  }

  #readRun(run: Run, target: Uint8Array): void {
    switch (run.kind) {
      case 'unallocated':
      case 'zero':
        target.fill(0)
        return
      case 'data': {
        // The last cluster may be cut short; what is missing are zeros, as in QEMU.
        const present = target.subarray(0, Math.max(0, this.#source.sizeBytes - run.hostOffset))
        if (present.length > 0) this.#source.readAt(run.hostOffset, present)
        target.fill(0, present.length)
        return
      }
      case 'compressed':
        target.set(this.#unpack(run).subarray(run.offsetInCluster, run.offsetInCluster + run.sizeBytes))
    }
  }

  #unpack({ entry }: CompressedRun): Uint8Array {
    if (this.#unpacked?.hostOffset === entry.hostOffset) return this.#unpacked.plain
    const endBytes = Math.min(entry.hostOffset + entry.sizeBytes, this.#source.sizeBytes)
    const compressed = new Uint8Array(endBytes - entry.hostOffset)
    this.#source.readAt(entry.hostOffset, compressed)
    const plain = decompress(this.#header.compression, compressed, this.#header.clusterSizeBytes)
    this.#unpacked = { hostOffset: entry.hostOffset, plain }
    return plain
  }
}

function kindOf({ kind }: Run): Extent['kind'] {
  return kind === 'compressed' ? 'data' : kind
}

function storedIn(run: Run): number {
  return run.kind === 'data' ? run.sizeBytes : 0
}
