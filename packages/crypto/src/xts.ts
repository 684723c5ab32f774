import { randomBytes } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { type DataUnitCipher, dataUnitSizeBytes } from './data-unit.ts'
import { XtsBatch } from './xts-batch.ts'
import { XtsUnits } from './xts-units.ts'

/**
 * AES-XTS over data units of 512 bytes with plain64 tweaks, by the fastest way that proves itself on this machine: the
 * batch cipher must first agree with OpenSSL's own XTS under this very key, else the latter does the work. The caller
 * keeps `key`; dispose of the cipher when done. Throws a CryptoError for an unfit key.
 */
export function createXts(key: Secret): DataUnitCipher {
  return prove(new XtsBatch(key), new XtsUnits(key))
}

/** The candidate when it does what the reference does, else the reference; the other one is disposed of. */
export function prove(candidate: DataUnitCipher, reference: DataUnitCipher): DataUnitCipher {
  const proven = agree(candidate, reference)
  const unused = proven ? reference : candidate
  unused[Symbol.dispose]()
  return proven ? candidate : reference
}

/** Whether both ciphers do the same to a few random units, at a sector whose number needs more than 32 bits. */
function agree(one: DataUnitCipher, other: DataUnitCipher): boolean {
  const plaintext = randomBytes(3 * dataUnitSizeBytes)
  const sector = 0xffff_ffff
  const ciphertext = new Uint8Array(plaintext.length)
  const expected = new Uint8Array(plaintext.length)
  one.encrypt(plaintext, sector, ciphertext)
  other.encrypt(plaintext, sector, expected)
  const back = Uint8Array.from(expected)
  one.decrypt(back, sector)
  return Buffer.compare(ciphertext, expected) === 0 && plaintext.equals(back)
}
