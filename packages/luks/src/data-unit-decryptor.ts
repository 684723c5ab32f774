import { createXts, type DataUnitCipher, type DataUnitSizeBytes } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { CbcDecryptor } from './cbc-decryptor.ts'
import { checkDataUnits } from './check-data-units.ts'
import { type CipherName, specOf } from './cipher-spec.ts'
import { sectorSizeBytes } from './header-layout.ts'

/** Decrypts data units of a volume that somebody else wrote. */
export interface DataUnitDecryptor extends Disposable {
  /**
   * `bytes` holds whole data units from `sector` on, which counts 512 bytes from the start of the payload; `target` has
   * the same length and may be `bytes` itself. Throws a CryptoError for parts of units and impossible sectors.
   */
  decrypt(bytes: Uint8Array, sector: number, target?: Uint8Array): void
}

/** What a decryptor needs to know. */
export interface DecryptorOptions {
  readonly cipher: CipherName
  readonly unitSizeBytes: DataUnitSizeBytes
  /** Added to every sector number (LUKS2 `iv_tweak`). */
  readonly ivTweak: number
}

/** Makes the decryptor for a volume key of a size that the cipher takes. The caller keeps the key. */
export function createDecryptor(key: Secret, { cipher, unitSizeBytes, ivTweak }: DecryptorOptions): DataUnitDecryptor {
  const { mode, tweak } = specOf(cipher)
  if (mode === 'cbc') return new CbcDecryptor(key, { tweak, unitSizeBytes, ivTweak })
  return new XtsDecryptor(createXts(key, { unitSizeBytes }), tweak === 'plain', ivTweak)
}

const plainSectorCount = 0x1_0000_0000

/** XTS by the engine, whose tweaks are plain64; `plain` is the same with numbers that begin anew after 32 bits. */
class XtsDecryptor implements DataUnitDecryptor {
  readonly #xts: DataUnitCipher
  readonly #wraps: boolean
  readonly #ivTweak: number

  constructor(xts: DataUnitCipher, wraps: boolean, ivTweak: number) {
    this.#xts = xts
    this.#wraps = wraps
    this.#ivTweak = ivTweak
  }

  decrypt(bytes: Uint8Array, sector: number, target: Uint8Array = bytes): void {
    checkDataUnits({ unitSizeBytes: this.#xts.unitSizeBytes, ivTweak: this.#ivTweak }, bytes, sector, target)
    const first = sector + this.#ivTweak
    const number = this.#wraps ? first % plainSectorCount : first
    const endBytes = this.#wraps ? this.#bytesBeforeWrap(number) : bytes.length
    this.#xts.decrypt(bytes.subarray(0, endBytes), number, target.subarray(0, endBytes))
    if (endBytes >= bytes.length) return
    const next = (number + endBytes / sectorSizeBytes) % plainSectorCount
    this.#xts.decrypt(bytes.subarray(endBytes), next, target.subarray(endBytes))
  }

  [Symbol.dispose](): void {
    this.#xts[Symbol.dispose]()
  }

  /** The data units whose numbers, those of their first sectors, come before numbers begin anew. */
  #bytesBeforeWrap(number: number): number {
    const sizeBytes = this.#xts.unitSizeBytes
    return Math.ceil(((plainSectorCount - number) * sectorSizeBytes) / sizeBytes) * sizeBytes
  }
}
