import { CryptoError } from './crypto-error.ts'

/** A data unit of LUKS1 and of QEMU's LUKS driver, in bytes. Also the step in which plain64 counts sectors. */
export const dataUnitSizeBytes = 512

/** The sizes of data units in bytes: LUKS1 has 512; LUKS2 calls them sector size and has any of these. */
export type DataUnitSizeBytes = 512 | 1024 | 2048 | 4096

/** The largest run of data units in one call, in bytes: what a caller may hold in memory at once. */
export const dataUnitsSizeMax = 64 * 1_048_576

/**
 * What does the AES of XTS: `xts` is OpenSSL's XTS over 128 KiB at once, `ecb` its ECB, both with the tweaks of all units
 * laid over by us; `units` is OpenSSL's own XTS, one cipher object per data unit, some thirty times as slow.
 */
export type XtsCore = 'xts' | 'ecb' | 'units'

/**
 * A cipher over whole data units. The tweak of a unit is the number of its first sector, 64 bits little-endian (dm-crypt's
 * `plain64`); sectors have 512 bytes, also where units are larger (dm-crypt without `iv_large_sectors`, as LUKS2 uses it).
 * Where a volume adds something to its numbers (LUKS2's `iv_tweak`), `sector` is the sum, and need not begin a unit.
 *
 * `bytes` holds the units from `sector` on, one after the other. `target` has the same length and is `bytes` itself where
 * none is given; bytes that overlap it in part are refused. Calls block. Both throw a CryptoError: `data-size` unless
 * `bytes` holds whole units, `sector-range` for an impossible `sector`, `overlap`, `disposed`; the target is as it was.
 */
export interface DataUnitCipher extends Disposable {
  readonly unitSizeBytes: DataUnitSizeBytes
  /** What does the work: the core that was asked for, or the one that it had to fall back to. */
  readonly core: XtsCore
  encrypt(bytes: Uint8Array, sector: number, target?: Uint8Array): void
  decrypt(bytes: Uint8Array, sector: number, target?: Uint8Array): void
}

/** Refuses what no data unit cipher can take; each implementation calls it first. */
export function checkDataUnits(
  unitSizeBytes: DataUnitSizeBytes,
  bytes: Uint8Array,
  sector: number,
  target: Uint8Array,
): void {
  if (bytes.length % unitSizeBytes !== 0 || bytes.length > dataUnitsSizeMax) {
    throw new CryptoError(
      'data-size',
      `expected whole data units of ${unitSizeBytes} bytes, at most ${dataUnitsSizeMax} bytes, got ${bytes.length}`,
    )
  }
  if (target.length !== bytes.length) {
    throw new CryptoError('data-size', `target has ${target.length} bytes, expected ${bytes.length} as in the source`)
  }
  const distance = Math.abs(target.byteOffset - bytes.byteOffset)
  if (target.buffer === bytes.buffer && distance > 0 && distance < bytes.length) {
    throw new CryptoError('overlap', `target begins ${distance} bytes from the source and overlaps it`)
  }
  if (!Number.isSafeInteger(sector) || sector < 0 || sector > Number.MAX_SAFE_INTEGER - dataUnitsSizeMax) {
    throw new CryptoError(
      'sector-range',
      `sector ${sector} is not a whole number within the range of plain64 that we use`,
    )
  }
}
