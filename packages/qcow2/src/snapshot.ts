import type { L1Table } from './cluster-map.ts'
import type { Qcow2Header } from './header.ts'
import { diskSizeMaxBytes, l1TableSizeMaxBytes } from './header-layout.ts'
import { Qcow2Error } from './qcow2-error.ts'
import type { TableReader } from './table-reader.ts'

/** An internal snapshot: qcow2.txt, "Snapshots". */
export interface Snapshot {
  /** What tools name it by. Unique in an image that QEMU wrote; texts are as they came, control characters included. */
  readonly id: string
  readonly name: string
  /** The disk's size when it was taken. */
  readonly diskSizeBytes: number
  /** The guest's memory and devices; 0 for a snapshot of the disk alone. */
  readonly vmStateSizeBytes: number
  /** Seconds since 1970. */
  readonly takenAtSeconds: number
  readonly l1: L1Table
}

const entryFieldsSizeBytes = 40
/** QEMU opens no image with more. */
const extraDataSizeMaxBytes = 1024
/** QEMU opens no image with a longer table. */
const snapshotTableSizeMaxBytes = 64 * 1_048_576

/** Reads the snapshot table. Throws a Qcow2Error `bad-snapshot-table`, or `truncated` when it is not all there. */
export function readSnapshots(tables: TableReader, header: Qcow2Header): readonly Snapshot[] {
  const snapshots: Snapshot[] = []
  let at = header.snapshotTableOffset
  for (let index = 0; index < header.snapshotCount; index++) {
    const { snapshot, sizeBytes } = readEntry(tables, header, index, at)
    snapshots.push(snapshot)
    at += Math.ceil(sizeBytes / 8) * 8
    if (at - header.snapshotTableOffset > snapshotTableSizeMaxBytes) {
      throw bad(index, `the table is longer than ${snapshotTableSizeMaxBytes} bytes`)
    }
  }
  return snapshots
}

function readEntry(tables: TableReader, header: Qcow2Header, index: number, at: number) {
  const what = `qcow2 snapshot ${index}`
  tables.requireInside(at, entryFieldsSizeBytes, what)
  const fields = tables.bytes(at, entryFieldsSizeBytes)
  const idSizeBytes = fields.readUInt16BE(12)
  const nameSizeBytes = fields.readUInt16BE(14)
  const extraSizeBytes = fields.readUInt32BE(36)
  if (extraSizeBytes > extraDataSizeMaxBytes) {
    throw bad(index, `extra data of ${extraSizeBytes} bytes: at most ${extraDataSizeMaxBytes}`)
  }
  const sizeBytes = entryFieldsSizeBytes + extraSizeBytes + idSizeBytes + nameSizeBytes
  tables.requireInside(at, sizeBytes, what)
  const rest = tables.bytes(at + entryFieldsSizeBytes, sizeBytes - entryFieldsSizeBytes)
  const texts = rest.subarray(extraSizeBytes)
  const diskSizeBytes = extraSizeBytes >= 16 ? Number(rest.readBigUInt64BE(8)) : header.virtualSizeBytes
  if (diskSizeBytes > diskSizeMaxBytes) throw bad(index, `disk size ${diskSizeBytes}: at most ${diskSizeMaxBytes}`)
  const snapshot: Snapshot = {
    id: texts.toString('utf8', 0, idSizeBytes),
    name: texts.toString('utf8', idSizeBytes),
    diskSizeBytes,
    vmStateSizeBytes: extraSizeBytes >= 8 ? Number(rest.readBigUInt64BE(0)) : fields.readUInt32BE(32),
    takenAtSeconds: fields.readUInt32BE(16),
    l1: { ...readL1(fields, header, index), diskSizeBytes },
  }
  return { snapshot, sizeBytes }
}

function readL1(fields: Buffer, { clusterSizeBytes }: Qcow2Header, index: number) {
  const offset = fields.readBigUInt64BE(0)
  if (offset % BigInt(clusterSizeBytes) !== 0n) throw bad(index, 'L1 table: not at the start of a cluster')
  const entryCount = fields.readUInt32BE(8)
  if (entryCount * 8 > l1TableSizeMaxBytes) {
    throw bad(index, `L1 table of ${entryCount} entries: at most ${l1TableSizeMaxBytes / 8}`)
  }
  return { offsetBytes: Number(offset), entryCount }
}

function bad(index: number, text: string): Qcow2Error {
  return new Qcow2Error('bad-snapshot-table', `qcow2 snapshot ${index}, ${text}`)
}
