export { createHeader, type NewVolume, payloadOffsetWrittenBytes } from './create-header.ts'
export { type Header, type KeySlot, type LuksHash, parseHeader } from './header.ts'
export { headerFieldsSizeBytes } from './header-layout.ts'
export { unlock } from './key-slot.ts'
export { LuksError, type LuksErrorCode } from './luks-error.ts'
export { passphraseOf } from './passphrase.ts'
export {
  type RecordCopy,
  type RecordCopyName,
  readRecordCopies,
  writeRecordCopy,
} from './record-copy.ts'
