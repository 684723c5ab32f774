import { diskSizeMax } from '@cryptvisor/host-agent-api'
import { DataPathError } from './data-path-error.ts'

/** What the header of a qcow2 image says, as far as an import needs it. Field names as in QEMU's docs/interop/qcow2.txt. */
export interface Qcow2Header {
  readonly version: 2 | 3
  readonly virtualSizeBytes: number
  readonly clusterBits: number
  readonly snapshotCount: number
  readonly encryption: 'none' | 'aes' | 'luks'
  readonly hasBackingFile: boolean
  readonly hasExternalDataFile: boolean
  readonly dirty: boolean
  readonly corrupt: boolean
}

/** How much of an image's beginning `inspectQcow2` needs: header and header extensions, with room to spare. */
export const qcow2HeaderAreaSizeMax = 65_536

const magic = 0x5146_49fb
const headerV2SizeBytes = 72
const headerV3SizeBytes = 104
const snapshotCountMax = 65_536
const encryptions = ['none', 'aes', 'luks'] as const

/** Bits of `incompatible_features`; bits that are not here mean a format that we do not know. */
const feature = { dirty: 1n, corrupt: 2n, externalDataFile: 4n, compressionType: 8n, extendedL2: 16n }
const knownFeatures = Object.values(feature).reduce((all, bit) => all | bit, 0n)

const extension = { end: 0, dataFileName: 0x4441_5441 }

/**
 * Reads a qcow2 header out of the beginning of an image, its first 64 KiB or all of it. Strict: throws a DataPathError
 * `bad-image` that names the field. Describes only; `refuseForeignData` decides.
 */
export function inspectQcow2(bytes: Uint8Array): Qcow2Header {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  require(view.length >= headerV2SizeBytes && view.readUInt32BE(0) === magic, 'magic: not a qcow2 image')
  const version = view.readUInt32BE(4)
  if (version !== 2 && version !== 3) throw bad(`version ${version}: expected 2 or 3`)
  require(version === 2 || view.length >= headerV3SizeBytes, 'header: cut short')
  const clusterBits = view.readUInt32BE(20)
  require(clusterBits >= 9 && clusterBits <= 21, `cluster_bits ${clusterBits}: expected 9 to 21`)
  const virtualSize = view.readBigUInt64BE(24)
  require(virtualSize > 0n && virtualSize <= BigInt(diskSizeMax), `size ${virtualSize}: expected 1 to ${diskSizeMax}`)
  const encryption = encryptions[view.readUInt32BE(32)]
  if (encryption === undefined) throw bad('crypt_method: not one of 0, 1, 2')
  checkTables(view, 2 ** clusterBits)
  const snapshotCount = view.readUInt32BE(60)
  require(snapshotCount <= snapshotCountMax, `nb_snapshots ${snapshotCount}: at most ${snapshotCountMax}`)
  const features = version === 3 ? view.readBigUInt64BE(72) : 0n
  require((features & ~knownFeatures) === 0n, 'incompatible_features: has a bit that is not known')
  return {
    version,
    virtualSizeBytes: Number(virtualSize),
    clusterBits,
    snapshotCount,
    encryption,
    hasBackingFile: readBackingFile(view, 2 ** clusterBits),
    hasExternalDataFile:
      hasExtension(view, headerSizeOf(view, version, 2 ** clusterBits), extension.dataFileName) ||
      (features & feature.externalDataFile) !== 0n,
    dirty: (features & feature.dirty) !== 0n,
    corrupt: (features & feature.corrupt) !== 0n,
  }
}

/**
 * Refuses a qcow2 image that is not whole by itself, with a DataPathError: `backing-file`, `external-data-file`,
 * `encrypted-image`, `unsupported-image` for one that was not closed cleanly.
 */
export function refuseForeignData(header: Qcow2Header): void {
  if (header.hasBackingFile) {
    throw new DataPathError('backing-file', 'the qcow2 image has a backing file: flatten it first (qemu-img convert)')
  }
  if (header.hasExternalDataFile) {
    throw new DataPathError('external-data-file', 'the qcow2 image keeps its data in another file: convert it first')
  }
  if (header.encryption !== 'none') {
    throw new DataPathError(
      'encrypted-image',
      `the qcow2 image is encrypted itself (${header.encryption}): decrypt it first`,
    )
  }
  if (header.dirty || header.corrupt) {
    throw new DataPathError(
      'unsupported-image',
      'the qcow2 image was not closed cleanly: repair it first (qemu-img check -r all)',
    )
  }
}

/** L1 and refcount tables lie on clusters; an image that says otherwise is not one. */
function checkTables(view: Buffer, clusterSizeBytes: number): void {
  const fields = { l1_table_offset: 40, refcount_table_offset: 48, snapshots_offset: 64 }
  for (const [name, offset] of Object.entries(fields)) {
    require(view.readBigUInt64BE(offset) % BigInt(clusterSizeBytes) === 0n, `${name}: not at the start of a cluster`)
  }
  require(view.readBigUInt64BE(48) !== 0n, 'refcount_table_offset: there is none')
}

function readBackingFile(view: Buffer, clusterSizeBytes: number): boolean {
  const offset = view.readBigUInt64BE(8)
  const sizeBytes = view.readUInt32BE(16)
  if (offset === 0n) return false
  require(sizeBytes >= 1 &&
    sizeBytes <= 1023 &&
    offset + BigInt(sizeBytes) <=
      BigInt(clusterSizeBytes), 'backing_file_offset: the name is not inside the first cluster')
  return true
}

function headerSizeOf(view: Buffer, version: 2 | 3, clusterSizeBytes: number): number {
  if (version === 2) return headerV2SizeBytes
  const sizeBytes = view.readUInt32BE(100)
  require(sizeBytes >= headerV3SizeBytes &&
    sizeBytes % 8 === 0 &&
    sizeBytes <=
      clusterSizeBytes, `header_length ${sizeBytes}: expected ${headerV3SizeBytes} or more, in multiples of 8, within a cluster`)
  require(view.readUInt32BE(96) <= 6, 'refcount_order: expected 0 to 6')
  return sizeBytes
}

/** Whether one of the header extensions is of `type`. All of them must lie within the bytes that we have. */
function hasExtension(view: Buffer, start: number, type: number): boolean {
  const backingOffset = view.readBigUInt64BE(8)
  const end = backingOffset === 0n ? view.length : Math.min(view.length, Number(backingOffset))
  let found = false
  for (let offset = start; offset < end; ) {
    require(offset + 8 <= end, 'header extensions: cut short')
    const current = view.readUInt32BE(offset)
    if (current === extension.end) return found
    found ||= current === type
    offset += 8 + Math.ceil(view.readUInt32BE(offset + 4) / 8) * 8
    require(offset <= end, 'header extensions: one is longer than its room')
  }
  return found
}

function require(holds: boolean, text: string): asserts holds {
  if (!holds) throw bad(text)
}

function bad(text: string): DataPathError {
  return new DataPathError('bad-image', `qcow2 header, ${text}`)
}
