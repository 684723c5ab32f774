/**
 * Where the fields of a qcow2 header lie, under the names of QEMU's docs/interop/qcow2.txt, "Header". All numbers are
 * big-endian. What begins at 72 or later is there since version 3.
 */
export const headerLayout = {
  magic: { offset: 0, sizeBytes: 4 },
  version: { offset: 4, sizeBytes: 4 },
  backing_file_offset: { offset: 8, sizeBytes: 8 },
  backing_file_size: { offset: 16, sizeBytes: 4 },
  cluster_bits: { offset: 20, sizeBytes: 4 },
  size: { offset: 24, sizeBytes: 8 },
  crypt_method: { offset: 32, sizeBytes: 4 },
  l1_size: { offset: 36, sizeBytes: 4 },
  l1_table_offset: { offset: 40, sizeBytes: 8 },
  refcount_table_offset: { offset: 48, sizeBytes: 8 },
  refcount_table_clusters: { offset: 56, sizeBytes: 4 },
  nb_snapshots: { offset: 60, sizeBytes: 4 },
  snapshots_offset: { offset: 64, sizeBytes: 8 },
  incompatible_features: { offset: 72, sizeBytes: 8 },
  compatible_features: { offset: 80, sizeBytes: 8 },
  autoclear_features: { offset: 88, sizeBytes: 8 },
  refcount_order: { offset: 96, sizeBytes: 4 },
  header_length: { offset: 100, sizeBytes: 4 },
  compression_type: { offset: 104, sizeBytes: 1 },
} as const

/** The name of a header field, as the specification spells it. */
export type HeaderField = keyof typeof headerLayout

/** `QFI` and 0xfb. */
export const qcow2Magic = 0x5146_49fb

export const headerV2SizeBytes = 72
export const headerV3SizeBytes = 104

/** With `compression_type` and its padding: what we write, as QEMU does. */
export const headerWrittenSizeBytes = 112

/** Bits of `incompatible_features`. A bit that is not here means a format that we do not know. */
export const incompatibleFeature = {
  dirty: 1n,
  corrupt: 2n,
  externalDataFile: 4n,
  compressionType: 8n,
  extendedL2: 16n,
} as const

/** Types of header extensions that say where the data is; all others are passed over. */
export const headerExtension = { end: 0, dataFileName: 0x4441_5441 } as const

/** Limits of the format: clusters of 512 bytes to 2 MiB. */
export const clusterBitsMin = 9
export const clusterBitsMax = 21

/** QEMU opens no longer L1 table, of a disk or of a snapshot. */
export const l1TableSizeMaxBytes = 32 * 1_048_576

/** QEMU opens no image with more of them. */
export const snapshotCountMax = 65_536

/** Limit on a foreign image: no disk is larger, and all offsets in one stay exact numbers. */
export const diskSizeMaxBytes = 2 ** 50
