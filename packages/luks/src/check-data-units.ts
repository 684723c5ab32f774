import { CryptoError, type DataUnitSizeBytes } from '@cryptvisor/crypto'

/** Refuses what no decryptor can take, with a CryptoError: `data-size`, `sector-range`. */
export function checkDataUnits(
  { unitSizeBytes, ivTweak }: { readonly unitSizeBytes: DataUnitSizeBytes; readonly ivTweak: number },
  bytes: Uint8Array,
  sector: number,
  target: Uint8Array,
): void {
  if (bytes.length % unitSizeBytes !== 0 || target.length !== bytes.length) {
    throw new CryptoError(
      'data-size',
      `expected whole data units of ${unitSizeBytes} bytes and a target as large, got ${bytes.length} and ${target.length} bytes`,
    )
  }
  if (!Number.isSafeInteger(sector) || sector < 0 || !Number.isSafeInteger(sector + ivTweak + bytes.length)) {
    throw new CryptoError('sector-range', `sector ${sector} is not a whole number within the range that we use`)
  }
}
