export { DataPathError, type DataPathErrorCode } from './data-path-error.ts'
export { requireFreeSpace } from './free-space.ts'
export type { Image, LuksImage, PlainImage } from './image.ts'
export { holdsFormatMagic, type ImageMagic } from './image-magic.ts'
export { type InspectedImage, inspectImage } from './inspect-image.ts'
export { createLayer, type NewLayer, type OpenLayer, openLayer } from './layer-file.ts'
export {
  createLuksFile,
  type LuksFileHeader,
  readLuksHeader,
  writeRecordCopies,
  writeRecordCopyFile,
} from './luks-file.ts'
export { inspectQcow2, type Qcow2Header, refuseForeignData } from './qcow2.ts'
export { type TransferOptions, transfer } from './transfer.ts'
export { type Verification, verify } from './verify.ts'
