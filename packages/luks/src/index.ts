export { type AddedKeySlot, addKeySlot } from './add-key-slot.ts'
export { type CipherName, ownCipher } from './cipher-spec.ts'
export { createHeader, type NewVolume, payloadOffsetWrittenBytes } from './create-header.ts'
export {
  createDecryptor,
  type DataUnitDecryptor,
  type DecryptorOptions,
} from './data-unit-decryptor.ts'
export { inspectForeign, type OpenForeignVolume, openForeign } from './foreign-volume.ts'
export { type Header, type KeySlot, parseHeader } from './header.ts'
export { type BackedUpVolume, backupHeader, restoreHeader, type VolumeToRestore } from './header-backup.ts'
export type { HeaderChange, HeaderWrite } from './header-change.ts'
export { headerFieldsSizeBytes } from './header-layout.ts'
export type { ForeignVolume } from './identified-volume.ts'
export { unlock } from './key-slot.ts'
export { LuksError, type LuksErrorCode } from './luks-error.ts'
export type { LuksHash } from './luks-hash.ts'
export { passphraseOf } from './passphrase.ts'
export type { ReadAt } from './read-at.ts'
export {
  type RecordCopy,
  type RecordCopyName,
  type RecordPlace,
  readRecordCopies,
  recordPlaceOf,
  writeRecordCopy,
} from './record-copy.ts'
export { removeKeySlots } from './remove-key-slots.ts'
export { renewDigest } from './renew-digest.ts'
export { defaultWorkLimits, type WorkLimits } from './work-limits.ts'
