import {
  clusterBitsMax,
  clusterBitsMin,
  diskSizeMaxBytes,
  type HeaderField,
  headerExtension,
  headerLayout,
  headerV2SizeBytes,
  headerV3SizeBytes,
  incompatibleFeature,
  l1TableSizeMaxBytes,
  qcow2Magic,
  snapshotCountMax,
} from './header-layout.ts'
import { Qcow2Error } from './qcow2-error.ts'

/** What the header of a qcow2 image says, as far as a reader needs it. */
export interface Qcow2Header {
  readonly version: 2 | 3
  /** The guest's disk. Not always whole sectors or clusters. */
  readonly virtualSizeBytes: number
  readonly clusterSizeBytes: number
  readonly l1TableOffset: number
  readonly l1EntryCount: number
  readonly snapshotCount: number
  readonly snapshotTableOffset: number
  readonly compression: 'zlib' | 'zstd'
  /** Whether each L2 entry has a bitmap of 32 subclusters behind it. */
  readonly extendedL2: boolean
  readonly encryption: 'none' | 'aes' | 'luks'
  readonly hasBackingFile: boolean
  readonly hasExternalDataFile: boolean
  /** Refcounts were not brought up to date. */
  readonly dirty: boolean
  readonly corrupt: boolean
}

/** How much of an image's beginning `parseQcow2Header` needs: header and header extensions, with room to spare. */
export const headerAreaSizeMaxBytes = 65_536

const encryptions = ['none', 'aes', 'luks'] as const
const compressions = ['zlib', 'zstd'] as const
const knownFeatures = Object.values(incompatibleFeature).reduce((all, bit) => all | bit, 0n)
const extendedL2ClusterBitsMin = 14
const backingFileSizeMaxBytes = 1023

/**
 * Reads a qcow2 header out of the beginning of an image, its first 64 KiB or all of it. Strict: throws a Qcow2Error
 * `bad-header` that names the field, `unsupported-feature` for one that came after us. Describes only;
 * `refuseForeignData` decides.
 */
export function parseQcow2Header(bytes: Uint8Array): Qcow2Header {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  require(view.length >= headerV2SizeBytes && number(view, 'magic') === qcow2Magic, 'magic: not a qcow2 image')
  const version = number(view, 'version')
  if (version !== 2 && version !== 3) throw bad(`version ${version}: expected 2 or 3`)
  const clusterBits = number(view, 'cluster_bits')
  require(clusterBits >= clusterBitsMin &&
    clusterBits <= clusterBitsMax, `cluster_bits ${clusterBits}: expected ${clusterBitsMin} to ${clusterBitsMax}`)
  const clusterSizeBytes = 2 ** clusterBits
  const sizeBytes = headerSizeOf(view, version, clusterSizeBytes)
  const virtualSize = field(view, 'size')
  require(virtualSize > 0n &&
    virtualSize <= BigInt(diskSizeMaxBytes), `size ${virtualSize}: expected 1 to ${diskSizeMaxBytes}`)
  const encryption = encryptions[number(view, 'crypt_method')]
  if (encryption === undefined) throw bad('crypt_method: not one of 0, 1, 2')
  const features = version === 3 ? field(view, 'incompatible_features') : 0n
  if ((features & ~knownFeatures) !== 0n) {
    throw new Qcow2Error('unsupported-feature', 'qcow2 header, incompatible_features: has a bit that is not known')
  }
  const has = (bit: bigint) => (features & bit) !== 0n
  const extendedL2 = has(incompatibleFeature.extendedL2)
  require(!extendedL2 ||
    clusterBits >=
      extendedL2ClusterBitsMin, `cluster_bits ${clusterBits}: extended L2 entries need ${extendedL2ClusterBitsMin} or more`)
  require(offset(view, 'refcount_table_offset', clusterSizeBytes) !== 0, 'refcount_table_offset: there is none')
  const l1TableOffset = offset(view, 'l1_table_offset', clusterSizeBytes)
  require(l1TableOffset !== 0, 'l1_table_offset: there is none')
  const snapshotCount = number(view, 'nb_snapshots')
  require(snapshotCount <= snapshotCountMax, `nb_snapshots ${snapshotCount}: at most ${snapshotCountMax}`)
  const snapshotTableOffset = offset(view, 'snapshots_offset', clusterSizeBytes)
  require(snapshotCount === 0 || snapshotTableOffset !== 0, 'snapshots_offset: there is none')
  return {
    version,
    virtualSizeBytes: Number(virtualSize),
    clusterSizeBytes,
    l1TableOffset,
    l1EntryCount: l1EntryCountOf(view),
    snapshotCount,
    snapshotTableOffset,
    compression: compressionOf(view, sizeBytes, has(incompatibleFeature.compressionType)),
    extendedL2,
    encryption,
    hasBackingFile: readBackingFile(view, clusterSizeBytes),
    hasExternalDataFile:
      hasExtension(view.subarray(0, clusterSizeBytes), sizeBytes, headerExtension.dataFileName) ||
      has(incompatibleFeature.externalDataFile),
    dirty: has(incompatibleFeature.dirty),
    corrupt: has(incompatibleFeature.corrupt),
  }
}

function headerSizeOf(view: Buffer, version: 2 | 3, clusterSizeBytes: number): number {
  if (version === 2) return headerV2SizeBytes
  require(view.length >= headerV3SizeBytes, 'header: cut short')
  const sizeBytes = number(view, 'header_length')
  require(sizeBytes >= headerV3SizeBytes &&
    sizeBytes % 8 === 0 &&
    sizeBytes <=
      Math.min(
        clusterSizeBytes,
        view.length,
      ), `header_length ${sizeBytes}: expected ${headerV3SizeBytes} or more, in multiples of 8, within a cluster`)
  require(number(view, 'refcount_order') <= 6, 'refcount_order: expected 0 to 6')
  return sizeBytes
}

function l1EntryCountOf(view: Buffer): number {
  const count = number(view, 'l1_size')
  require(count * 8 <= l1TableSizeMaxBytes, `l1_size ${count}: at most ${l1TableSizeMaxBytes / 8}`)
  return count
}

/** The field is there when the header is long enough, and says another method than zlib when the feature bit is set. */
function compressionOf(view: Buffer, headerSizeBytes: number, hasFeatureBit: boolean): 'zlib' | 'zstd' {
  const { offset: start, sizeBytes } = headerLayout.compression_type
  const type = headerSizeBytes >= start + sizeBytes ? view.readUInt8(start) : 0
  require(hasFeatureBit === (type !== 0), `compression_type ${type}: the feature bit says something else`)
  const compression = compressions[type]
  if (compression === undefined) {
    throw new Qcow2Error('unsupported-feature', `qcow2 header, compression_type ${type}: expected 0 or 1`)
  }
  return compression
}

function readBackingFile(view: Buffer, clusterSizeBytes: number): boolean {
  const start = field(view, 'backing_file_offset')
  const sizeBytes = number(view, 'backing_file_size')
  if (start === 0n) return false
  require(sizeBytes >= 1 &&
    sizeBytes <= backingFileSizeMaxBytes &&
    start + BigInt(sizeBytes) <=
      BigInt(clusterSizeBytes), 'backing_file_offset: the name is not inside the first cluster')
  return true
}

/** Whether one of the header extensions is of `type`. All of them must lie within the bytes that we have. */
function hasExtension(view: Buffer, start: number, type: number): boolean {
  const backingOffset = field(view, 'backing_file_offset')
  const end = backingOffset === 0n ? view.length : Math.min(view.length, Number(backingOffset))
  let found = false
  for (let at = start; at < end; ) {
    require(at + 8 <= end, 'header extensions: cut short')
    const current = view.readUInt32BE(at)
    if (current === headerExtension.end) return found
    found ||= current === type
    at += 8 + Math.ceil(view.readUInt32BE(at + 4) / 8) * 8
    require(at <= end, 'header extensions: one is longer than its room')
  }
  return found
}

/** An offset of a table, which lies at the start of a cluster. May be beyond exact numbers, and then beyond any image. */
function offset(view: Buffer, name: HeaderField, clusterSizeBytes: number): number {
  const value = field(view, name)
  require(value % BigInt(clusterSizeBytes) === 0n, `${name}: not at the start of a cluster`)
  return Number(value)
}

function number(view: Buffer, name: HeaderField): number {
  return view.readUInt32BE(headerLayout[name].offset)
}

function field(view: Buffer, name: HeaderField): bigint {
  return view.readBigUInt64BE(headerLayout[name].offset)
}

function require(holds: boolean, text: string): asserts holds {
  if (!holds) throw bad(text)
}

function bad(text: string): Qcow2Error {
  return new Qcow2Error('bad-header', `qcow2 header, ${text}`)
}
