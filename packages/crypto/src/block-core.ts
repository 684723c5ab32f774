import { type Cipheriv, createCipheriv, createDecipheriv, type Decipheriv } from 'node:crypto'
import type { XtsKey } from './xts-key.ts'

/** Which way a cipher works. */
export type Direction = 'encrypt' | 'decrypt'

/** AES under the data key over many blocks at once, as batch XTS needs it: blocks come masked and leave masked. */
export interface BlockCore {
  /** What has to be XORed into the encrypted sector numbers of a step, one block per unit; null for nothing. */
  readonly offsets: Uint8Array | null
  /** Returns as many bytes as it gets, in a buffer of their own. */
  update(direction: Direction, blocks: Uint8Array): Buffer
}

/** AES in ECB mode, by two contexts that live as long as this does. */
export class EcbCore implements BlockCore {
  readonly offsets = null
  readonly #encryptor: Cipheriv
  readonly #decryptor: Decipheriv

  constructor({ ciphers, data }: XtsKey) {
    this.#encryptor = createCipheriv(ciphers.ecb, data, null).setAutoPadding(false)
    this.#decryptor = createDecipheriv(ciphers.ecb, data, null).setAutoPadding(false)
  }

  update(direction: Direction, blocks: Uint8Array): Buffer {
    return (direction === 'encrypt' ? this.#encryptor : this.#decryptor).update(blocks)
  }
}
