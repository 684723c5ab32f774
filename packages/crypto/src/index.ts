export { CryptoError, type CryptoErrorCode } from './crypto-error.ts'
export { type DataUnitCipher, type DataUnitSizeBytes, dataUnitSizeBytes, type XtsCore } from './data-unit.ts'
export { DataUnitMemory, type DataUnitMemoryOptions } from './data-unit-memory.ts'
export { type HkdfParameters, hkdf } from './hkdf.ts'
export {
  deriveHpkeKeyPair,
  type HpkeKeyPair,
  hpkeOpen,
  hpkeSeal,
} from './hpke.ts'
export { createXts, type XtsOptions } from './xts.ts'
