import { Qcow2Error } from './qcow2-error.ts'
import { subclusterRun } from './subcluster.ts'
import { type CompressedEntry, type Geometry, parseL1Entry, parseL2Entry } from './table-entry.ts'
import type { TableReader } from './table-reader.ts'

/** A stretch of the guest's disk that lies in one piece in the image, or nowhere. */
export type Run =
  | { readonly kind: 'unallocated' | 'zero'; readonly sizeBytes: number }
  | { readonly kind: 'data'; readonly sizeBytes: number; readonly hostOffset: number }
  | CompressedRun

/** A stretch of one compressed cluster: what begins `offsetInCluster` bytes into its plain form. */
export interface CompressedRun {
  readonly kind: 'compressed'
  readonly sizeBytes: number
  readonly entry: CompressedEntry
  readonly offsetInCluster: number
}

/** Where an L1 table lies and how much of a disk it describes: the active one's, or a snapshot's. */
export interface L1Table {
  readonly offsetBytes: number
  readonly entryCount: number
  readonly diskSizeBytes: number
}

/** Tells where the bytes of a guest's disk are in the image: qcow2.txt, "Cluster mapping". */
export class ClusterMap {
  readonly #tables: TableReader
  readonly #geometry: Geometry
  readonly #l1: L1Table
  readonly #imageSizeBytes: number
  readonly #l2EntrySizeBytes: number
  /** How much of the disk one L2 table describes. */
  readonly #l2CoverageBytes: number
  /** The L1 entry that was looked at last. */
  #current: { readonly l1Index: number; readonly l2Offset: number | null } | null = null

  /** Throws a Qcow2Error `bad-header` when the L1 table is too short for the disk, `truncated` when it is not all there. */
  constructor(tables: TableReader, geometry: Geometry, l1: L1Table, imageSizeBytes: number) {
    this.#tables = tables
    this.#geometry = geometry
    this.#l1 = l1
    this.#imageSizeBytes = imageSizeBytes
    this.#l2EntrySizeBytes = geometry.extendedL2 ? 16 : 8
    this.#l2CoverageBytes = (geometry.clusterSizeBytes / this.#l2EntrySizeBytes) * geometry.clusterSizeBytes
    const entriesNeeded = Math.ceil(l1.diskSizeBytes / this.#l2CoverageBytes)
    if (l1.entryCount < entriesNeeded) {
      throw new Qcow2Error('bad-header', `qcow2 l1_size ${l1.entryCount}: the disk's size needs ${entriesNeeded}`)
    }
    tables.requireInside(l1.offsetBytes, l1.entryCount * 8, 'qcow2 L1 table')
  }

  /**
   * The longest run that begins at `offsetBytes`, up to `endBytes` at most; both are inside the disk, and the first is less.
   * A compressed run ends with its cluster. Throws a Qcow2Error `bad-table-entry`, `truncated`.
   */
  run(offsetBytes: number, endBytes: number): Run {
    let run = this.#runInCluster(offsetBytes, endBytes)
    while (run.kind !== 'compressed' && offsetBytes + run.sizeBytes < endBytes) {
      const next = this.#runInCluster(offsetBytes + run.sizeBytes, endBytes)
      if (!continues(run, next)) break
      run = { ...run, sizeBytes: run.sizeBytes + next.sizeBytes }
    }
    return run
  }

  /**
   * Refuses an L1 table with more L2 tables than the image has clusters, some of which would be named again and again: what
   * a small image can cost is bounded. Throws a Qcow2Error `bad-table-entry`, `truncated`.
   */
  boundL2Tables(): void {
    const clusterCount = Math.ceil(this.#imageSizeBytes / this.#geometry.clusterSizeBytes)
    let count = 0
    for (let l1Index = 0; l1Index < this.#l1.entryCount; l1Index++) {
      if (this.#l2OffsetOf(l1Index) === null) continue
      count++
      if (count > clusterCount) {
        throw new Qcow2Error('bad-table-entry', 'qcow2 L1 table: has more L2 tables than the image has clusters')
      }
    }
  }

  #runInCluster(offsetBytes: number, endBytes: number): Run {
    const { clusterSizeBytes } = this.#geometry
    const l1Index = Math.floor(offsetBytes / this.#l2CoverageBytes)
    const l2Offset = this.#l2OffsetOf(l1Index)
    if (l2Offset === null) {
      const end = Math.min((l1Index + 1) * this.#l2CoverageBytes, endBytes)
      return { kind: 'unallocated', sizeBytes: end - offsetBytes }
    }
    const l2Index = Math.floor((offsetBytes % this.#l2CoverageBytes) / clusterSizeBytes)
    const at = l2Offset + l2Index * this.#l2EntrySizeBytes
    const entry = parseL2Entry(this.#tables.uint32(at), this.#tables.uint32(at + 4), at, this.#geometry)
    const offsetInCluster = offsetBytes % clusterSizeBytes
    const sizeBytes = Math.min(clusterSizeBytes - offsetInCluster, endBytes - offsetBytes)
    if (entry.kind === 'compressed') {
      this.#requireBeginning(entry.hostOffset, at)
      return { kind: 'compressed', sizeBytes, entry, offsetInCluster }
    }
    if (entry.kind === 'standard') this.#requireBeginning(entry.hostOffset, at)
    if (this.#geometry.extendedL2) {
      const zeroBits = this.#tables.uint32(at + 8)
      const allocatedBits = this.#tables.uint32(at + 12)
      const sub = subclusterRun(entry, zeroBits, allocatedBits, { offsetInCluster, clusterSizeBytes, at })
      return { ...sub, sizeBytes: Math.min(sub.sizeBytes, endBytes - offsetBytes) }
    }
    if (entry.kind !== 'standard') return { kind: entry.kind, sizeBytes }
    return { kind: 'data', sizeBytes, hostOffset: entry.hostOffset + offsetInCluster }
  }

  #l2OffsetOf(l1Index: number): number | null {
    if (this.#current?.l1Index === l1Index) return this.#current.l2Offset
    const { clusterSizeBytes } = this.#geometry
    const at = this.#l1.offsetBytes + l1Index * 8
    const l2Offset = parseL1Entry(this.#tables.uint32(at), this.#tables.uint32(at + 4), at, clusterSizeBytes)
    if (l2Offset !== null) this.#tables.requireInside(l2Offset, clusterSizeBytes, 'qcow2 L2 table')
    this.#current = { l1Index, l2Offset }
    return l2Offset
  }

  /** The last cluster of an image may be cut short, as QEMU writes and reads it, but it must begin inside. */
  #requireBeginning(hostOffset: number, at: number): void {
    if (hostOffset >= this.#imageSizeBytes) {
      throw new Qcow2Error(
        'truncated',
        `qcow2 L2 entry at ${at}: its cluster at ${hostOffset} is beyond the end of the image at ${this.#imageSizeBytes}`,
      )
    }
  }
}

function continues(run: Run, next: Run): boolean {
  if (run.kind !== next.kind) return false
  return run.kind !== 'data' || next.kind !== 'data' || next.hostOffset === run.hostOffset + run.sizeBytes
}
