import { Qcow2Error } from './qcow2-error.ts'

/**
 * The entries of L1 and L2 tables, qcow2.txt "Cluster mapping", as two halves of 32 bits. Bit 63 only spares QEMU a look
 * at the refcount, so that readers pass over it.
 */
const offsetBits = { high: 0x00ff_ffff, low: 0xffff_fe00 }
const l1ReservedBits = { high: 0x7f00_0000, low: 0x0000_01ff }
const l2ReservedBits = { high: 0x3f00_0000, low: 0x0000_01fe }
const compressedBit = 0x4000_0000
const zeroBit = 1

/** Bit 63: the refcount is exactly one, as in all that we write. */
export const copiedBit = 0x8000_0000

/** What an L2 entry says of its cluster. `hostOffset` counts from the start of the image. */
export type L2Entry =
  | { readonly kind: 'unallocated' }
  | { readonly kind: 'zero' }
  | { readonly kind: 'standard'; readonly hostOffset: number }
  | CompressedEntry

/** A compressed cluster may begin at any byte; `sizeBytes` ends at a sector and may reach behind its data. */
export interface CompressedEntry {
  readonly kind: 'compressed'
  readonly hostOffset: number
  readonly sizeBytes: number
}

/** The shape of the tables, as the header has it. */
export interface Geometry {
  readonly version: 2 | 3
  readonly clusterSizeBytes: number
  readonly extendedL2: boolean
}

/** Where the L2 table of an L1 entry lies, or null when it has none. Throws a Qcow2Error `bad-table-entry`. */
export function parseL1Entry(high: number, low: number, at: number, clusterSizeBytes: number): number | null {
  if ((high & l1ReservedBits.high) !== 0 || (low & l1ReservedBits.low) !== 0) {
    throw bad(`L1 entry at ${at}: a reserved bit is set`)
  }
  const tableOffset = hostOffsetOf(high, low)
  if (tableOffset % clusterSizeBytes !== 0) throw bad(`L1 entry at ${at}: not at the start of a cluster`)
  return tableOffset === 0 ? null : tableOffset
}

/** Reads an L2 entry, without the bitmap of an extended one. Throws a Qcow2Error `bad-table-entry`. */
export function parseL2Entry(high: number, low: number, at: number, geometry: Geometry): L2Entry {
  if ((high & compressedBit) !== 0) return parseCompressedEntry(high, low, geometry.clusterSizeBytes)
  if ((high & l2ReservedBits.high) !== 0 || (low & l2ReservedBits.low) !== 0) {
    throw bad(`L2 entry at ${at}: a reserved bit is set`)
  }
  const hostOffset = hostOffsetOf(high, low)
  if (hostOffset % geometry.clusterSizeBytes !== 0) throw bad(`L2 entry at ${at}: not at the start of a cluster`)
  if ((low & zeroBit) !== 0) {
    if (geometry.version === 2) throw bad(`L2 entry at ${at}: version 2 has no zero clusters`)
    if (geometry.extendedL2) throw bad(`L2 entry at ${at}: a reserved bit is set`)
    return { kind: 'zero' }
  }
  return hostOffset === 0 ? { kind: 'unallocated' } : { kind: 'standard', hostOffset }
}

/** qcow2.txt, "Compressed Clusters Descriptor": the offset has fewer bits the larger the clusters are. */
function parseCompressedEntry(high: number, low: number, clusterSizeBytes: number): CompressedEntry {
  const descriptor = (BigInt(high & 0x3fff_ffff) << 32n) | BigInt(low)
  const offsetBitCount = 62n - BigInt(Math.log2(clusterSizeBytes) - 8)
  const hostOffset = Number(descriptor & ((1n << offsetBitCount) - 1n))
  const moreSectors = Number(descriptor >> offsetBitCount)
  return { kind: 'compressed', hostOffset, sizeBytes: (moreSectors + 1) * 512 - (hostOffset % 512) }
}

/** Exact up to 2^53, and beyond that more than any image has. */
function hostOffsetOf(high: number, low: number): number {
  return (high & offsetBits.high) * 2 ** 32 + ((low & offsetBits.low) >>> 0)
}

function bad(text: string): Qcow2Error {
  return new Qcow2Error('bad-table-entry', `qcow2 ${text}`)
}
