export { CryptoError, type CryptoErrorCode } from './crypto-error.ts'
export { type DataUnitCipher, dataUnitSizeBytes } from './data-unit.ts'
export { type HkdfParameters, hkdf } from './hkdf.ts'
export { createXts } from './xts.ts'
