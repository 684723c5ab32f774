import { ClusterRanks } from './cluster-ranks.ts'
import type { DataClusters } from './data-clusters.ts'
import { diskSizeMaxBytes } from './header-layout.ts'
import { Qcow2Error } from './qcow2-error.ts'
import { clustersPerTable, thinClusterSizeBytes, wholeSectors } from './thin-format.ts'
import { layOut, offsetOf } from './thin-layout.ts'
import { metadataCluster, type ThinContents } from './thin-metadata.ts'

/** A stretch of the image: bytes of its own, bytes of the guest's disk to be put there, or zeros behind the disk's end. */
export type Piece =
  | { readonly kind: 'metadata'; readonly offsetBytes: number; readonly bytes: Uint8Array }
  | {
      readonly kind: 'data'
      readonly offsetBytes: number
      readonly sizeBytes: number
      readonly guestOffsetBytes: number
    }
  | { readonly kind: 'padding'; readonly offsetBytes: number; readonly sizeBytes: number }

/**
 * A qcow2 image of version 3 to be written: clusters of 64 KiB, no backing file, each cluster of data once, in the
 * guest's order, behind all metadata. Nothing of it is kept: any stretch can be made at any time, in any order and in
 * several threads, so that it can be streamed front to back or written in parallel.
 */
export class ThinImage {
  /** Known before the first byte is made. Whole clusters. */
  readonly sizeBytes: number
  readonly virtualSizeBytes: number
  /** Where the data begins and the metadata ends. */
  readonly dataOffsetBytes: number
  readonly #contents: ThinContents
  /** The cluster of metadata that was made last. */
  #made: { readonly cluster: number; readonly bytes: Uint8Array } | null = null

  private constructor(virtualSizeBytes: number, data: DataClusters | null) {
    const l1EntryCount = Math.ceil(virtualSizeBytes / (clustersPerTable * thinClusterSizeBytes))
    const marked = data === null ? null : { data, ranks: new ClusterRanks(data, l1EntryCount) }
    const layout = layOut(l1EntryCount, marked?.ranks.tableCount ?? 0, marked?.ranks.clusterCount ?? 0)
    this.#contents = { virtualSizeBytes, l1EntryCount, marked, layout }
    this.virtualSizeBytes = virtualSizeBytes
    this.dataOffsetBytes = offsetOf(layout.data)
    this.sizeBytes = layout.clusterCount * thinClusterSizeBytes
  }

  /** A disk with data in the marked clusters. All must be marked before. */
  static with(data: DataClusters): ThinImage {
    return new ThinImage(data.virtualSizeBytes, data)
  }

  /** A disk without data, up to 1 PiB. Throws a Qcow2Error `bad-size` for one that is larger or not whole sectors. */
  static empty(virtualSizeBytes: number): ThinImage {
    wholeSectors(virtualSizeBytes, diskSizeMaxBytes)
    return new ThinImage(virtualSizeBytes, null)
  }

  /** Where the guest's cluster `index`, of 64 KiB, lies in the image, or null when it has no data. */
  dataOffsetOf(index: number): number | null {
    const rank = this.#contents.marked?.ranks.rankOf(index) ?? null
    return rank === null ? null : this.dataOffsetBytes + rank * thinClusterSizeBytes
  }

  /**
   * The image from `startBytes` to `endBytes`, all of it without them, in ascending order and without gaps. Metadata comes
   * in pieces of a cluster at most, data of clusters that are neighbours in the disk as one. Throws a Qcow2Error
   * `out-of-range`.
   */
  *pieces(startBytes = 0, endBytes: number = this.sizeBytes): Generator<Piece, void, undefined> {
    this.#requireRange(startBytes, endBytes)
    for (let at = startBytes; at < endBytes; ) {
      const piece = at < this.dataOffsetBytes ? this.#metadata(at, endBytes) : this.#data(at, endBytes)
      yield piece
      at += piece.kind === 'metadata' ? piece.bytes.length : piece.sizeBytes
    }
  }

  /**
   * Fills `target` with the image's bytes at `offsetBytes`. `readGuest` fills a buffer with the guest's bytes at an offset
   * of the disk, and is called for the marked clusters alone, never beyond the disk. Throws a Qcow2Error `out-of-range`.
   */
  read(offsetBytes: number, target: Uint8Array, readGuest: (offsetBytes: number, target: Uint8Array) => void): void {
    for (const piece of this.pieces(offsetBytes, offsetBytes + target.length)) {
      const start = piece.offsetBytes - offsetBytes
      if (piece.kind === 'metadata') target.set(piece.bytes, start)
      else if (piece.kind === 'padding') target.fill(0, start, start + piece.sizeBytes)
      else readGuest(piece.guestOffsetBytes, target.subarray(start, start + piece.sizeBytes))
    }
  }

  #requireRange(startBytes: number, endBytes: number): void {
    const whole = Number.isSafeInteger(startBytes) && Number.isSafeInteger(endBytes)
    if (whole && startBytes >= 0 && startBytes <= endBytes && endBytes <= this.sizeBytes) return
    throw new Qcow2Error('out-of-range', `${startBytes} to ${endBytes}: the image has ${this.sizeBytes} bytes`)
  }

  #metadata(offsetBytes: number, endBytes: number): Piece {
    const cluster = Math.floor(offsetBytes / thinClusterSizeBytes)
    const start = cluster * thinClusterSizeBytes
    if (this.#made?.cluster !== cluster) this.#made = { cluster, bytes: metadataCluster(this.#contents, cluster) }
    // A copy: the caller may keep or change what it gets.
    return { kind: 'metadata', offsetBytes, bytes: this.#made.bytes.slice(offsetBytes - start, endBytes - start) }
  }

  #data(offsetBytes: number, endBytes: number): Piece {
    const { marked } = this.#contents
    if (marked === null) throw new Qcow2Error('out-of-range', `${offsetBytes}: the image has no data`)
    const inData = offsetBytes - this.dataOffsetBytes
    const first = marked.ranks.clusterAt(Math.floor(inData / thinClusterSizeBytes))
    const guestOffsetBytes = first * thinClusterSizeBytes + (inData % thinClusterSizeBytes)
    const sizeMaxBytes = endBytes - offsetBytes
    if (guestOffsetBytes >= this.virtualSizeBytes) return { kind: 'padding', offsetBytes, sizeBytes: sizeMaxBytes }
    let next = first + 1
    while (next * thinClusterSizeBytes - guestOffsetBytes < sizeMaxBytes && marked.data.has(next)) next++
    const guestEndBytes = Math.min(next * thinClusterSizeBytes, this.virtualSizeBytes)
    const sizeBytes = Math.min(guestEndBytes - guestOffsetBytes, sizeMaxBytes)
    return { kind: 'data', offsetBytes, sizeBytes, guestOffsetBytes }
  }
}
