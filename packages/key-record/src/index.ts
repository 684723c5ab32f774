export type { Authority } from './authority.ts'
export { type ChosenCopy, type CopyContent, type CopyName, type CopyReport, chooseCopy } from './choose-copy.ts'
export {
  inspectRecord,
  type NamedKek,
  recordKeySizeBytes,
  type UnwrappedDek,
  unwrapDek,
  wrapDek,
} from './key-record.ts'
export { KeyRecordError, type KeyRecordErrorCode } from './key-record-error.ts'
export type { DiskRecordHeader, RecordHeader, VmHomeRecordHeader } from './record-header.ts'
export { recordSizeMax } from './record-text.ts'
export { type RecordWrite, type RewrappedRecord, rewrapDek, shallowRekeyWrites } from './shallow-rekey.ts'
