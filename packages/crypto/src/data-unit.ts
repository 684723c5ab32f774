import { CryptoError } from './crypto-error.ts'

/** A data unit of LUKS1 and of QEMU's LUKS driver, in bytes. Also the step in which plain64 counts sectors. */
export const dataUnitSizeBytes = 512

/** The largest run of data units in one call, in bytes: what a caller may hold in memory at once. */
export const dataUnitsSizeMax = 64 * 1_048_576

/**
 * A cipher over whole data units whose tweak is their sector number, 64 bits little-endian (dm-crypt's `plain64`).
 * `bytes` holds the units from `sector` on, one after the other; `target` has the same length and may be `bytes` itself.
 * Both throw a CryptoError: `data-size` unless `bytes` holds whole units, `sector-range` for an impossible `sector`.
 */
export interface DataUnitCipher extends Disposable {
  encrypt(bytes: Uint8Array, sector: number, target?: Uint8Array): void
  decrypt(bytes: Uint8Array, sector: number, target?: Uint8Array): void
}

/** Refuses what no data unit cipher can take; each implementation calls it first. */
export function checkDataUnits(bytes: Uint8Array, sector: number, target: Uint8Array): void {
  if (bytes.length % dataUnitSizeBytes !== 0 || bytes.length > dataUnitsSizeMax) {
    throw new CryptoError(
      'data-size',
      `expected whole data units of ${dataUnitSizeBytes} bytes, at most ${dataUnitsSizeMax} bytes, got ${bytes.length}`,
    )
  }
  if (target.length !== bytes.length) {
    throw new CryptoError('data-size', `target has ${target.length} bytes, expected ${bytes.length} as in the source`)
  }
  if (!Number.isSafeInteger(sector) || sector < 0 || sector > Number.MAX_SAFE_INTEGER - dataUnitsSizeMax) {
    throw new CryptoError(
      'sector-range',
      `sector ${sector} is not a whole number within the range of plain64 that we use`,
    )
  }
}
