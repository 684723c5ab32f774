export { type CipherName, ownCipher } from './cipher-spec.ts'
export { createHeader, type NewVolume, payloadOffsetWrittenBytes } from './create-header.ts'
export {
  createDecryptor,
  type DataUnitDecryptor,
  type DecryptorOptions,
  type UnitSizeBytes,
} from './data-unit-decryptor.ts'
export { type ForeignVolume, inspectForeign, type OpenForeignVolume, openForeign } from './foreign-volume.ts'
export { type Header, type KeySlot, parseHeader } from './header.ts'
export { headerFieldsSizeBytes } from './header-layout.ts'
export { unlock } from './key-slot.ts'
export { LuksError, type LuksErrorCode } from './luks-error.ts'
export type { LuksHash } from './luks-hash.ts'
export { passphraseOf } from './passphrase.ts'
export type { ReadAt } from './read-at.ts'
export {
  type RecordCopy,
  type RecordCopyName,
  readRecordCopies,
  writeRecordCopy,
} from './record-copy.ts'
export { defaultWorkLimits, type WorkLimits } from './work-limits.ts'
