export { DataPathError, type DataPathErrorCode } from './data-path-error.ts'
export { requireFreeSpace } from './free-space.ts'
export type { Image, LuksImage, PlainImage } from './image.ts'
export {
  createLuksFile,
  type LuksFileHeader,
  readLuksHeader,
  writeRecordCopies,
  writeRecordCopyFile,
} from './luks-file.ts'
export { type TransferOptions, transfer } from './transfer.ts'
export { type Verification, verify } from './verify.ts'
