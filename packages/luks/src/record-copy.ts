import type { Header } from './header.ts'
import { keyMaterialSizeBytes } from './header-layout.ts'
import { LuksError } from './luks-error.ts'

/** Size of each of the two copies of the key record. They end where the payload begins. */
export const recordCopySizeBytes = 8192

/** The two copies by their names: A lies first. */
export type RecordCopyName = 'A' | 'B'

/** What a copy holds: nothing (all zeros), a text that may or may not be a record, or neither. */
export type RecordCopy =
  | { readonly state: 'empty' }
  | { readonly state: 'text'; readonly text: string }
  | { readonly state: 'damaged'; readonly reason: string }

/** Where the record of a volume is kept: in its header, or where that lacks the room, in a file beside the disk. */
export type RecordPlace = 'header' | 'file'

/** The place of a volume's record; `file` where less than two copies fit between the key slots and the payload. */
export function recordPlaceOf(header: Header): RecordPlace {
  return freeBytesOf(header) < 2 * recordCopySizeBytes ? 'file' : 'header'
}

/** Where a copy lies in the volume. Throws a LuksError `no-record-room` where key material reaches into its place. */
export function recordCopyOffsetBytes(header: Header, name: RecordCopyName): number {
  if (recordPlaceOf(header) === 'file') {
    throw new LuksError(
      'no-record-room',
      `${freeBytesOf(header)} bytes lie between key slots and payload, a key record needs ${2 * recordCopySizeBytes}`,
    )
  }
  const start = header.payloadOffsetBytes - 2 * recordCopySizeBytes
  return name === 'A' ? start : start + recordCopySizeBytes
}

/** The room between the last key slot's key material and the payload. */
function freeBytesOf({ keySlots, volumeKeySizeBytes, payloadOffsetBytes }: Header): number {
  const sizeBytes = keyMaterialSizeBytes(volumeKeySizeBytes)
  return payloadOffsetBytes - Math.max(...keySlots.map((slot) => slot.keyMaterialOffsetBytes + sizeBytes))
}

/**
 * The bytes of one copy: the record's text, then zeros. Throws a LuksError: `record-too-large` above 8192 bytes,
 * `bad-record-text` when it is empty or not ASCII.
 */
export function encodeRecordCopy(record: string): Uint8Array {
  if (!/^[ -~]+$/.test(record)) throw new LuksError('bad-record-text', 'a key record is printable ASCII text')
  if (record.length > recordCopySizeBytes) {
    throw new LuksError('record-too-large', `key record of ${record.length} bytes, at most ${recordCopySizeBytes} fit`)
  }
  const bytes = new Uint8Array(recordCopySizeBytes)
  Buffer.from(bytes.buffer).write(record, 'latin1')
  return bytes
}

/** Reads the bytes of one copy. Damage is a value, not an error: the other copy may be whole. */
export function decodeRecordCopy(bytes: Uint8Array): RecordCopy {
  if (bytes.length !== recordCopySizeBytes) {
    return { state: 'damaged', reason: `it has ${bytes.length} bytes, expected ${recordCopySizeBytes}` }
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const zero = view.indexOf(0)
  const text = view.toString('latin1', 0, zero < 0 ? view.length : zero)
  if (view.subarray(text.length).some((byte) => byte !== 0)) {
    return { state: 'damaged', reason: 'bytes other than zero follow its text' }
  }
  if (text === '') return { state: 'empty' }
  if (!/^[ -~]+$/.test(text)) return { state: 'damaged', reason: 'it is not printable ASCII text' }
  return { state: 'text', text }
}

/** Both copies of a volume whose bytes up to the payload are given with its parsed `header`. */
export function readRecordCopies(bytes: Uint8Array, header: Header): Readonly<Record<RecordCopyName, RecordCopy>> {
  const read = (name: RecordCopyName) => {
    const offset = recordCopyOffsetBytes(header, name)
    return decodeRecordCopy(bytes.subarray(offset, offset + recordCopySizeBytes))
  }
  return { A: read('A'), B: read('B') }
}

/** Puts the record into one copy of a volume whose bytes up to the payload are given with its parsed `header`. */
export function writeRecordCopy(bytes: Uint8Array, header: Header, name: RecordCopyName, record: string): void {
  bytes.set(encodeRecordCopy(record), recordCopyOffsetBytes(header, name))
}
