import { LuksError } from './luks-error.ts'

/** The ciphers that we read; all but the first for import only. */
const ciphers = {
  'aes-xts-plain64': { mode: 'xts', tweak: 'plain64' },
  'aes-xts-plain': { mode: 'xts', tweak: 'plain' },
  'aes-cbc-essiv:sha256': { mode: 'cbc', tweak: 'essiv' },
  'aes-cbc-plain64': { mode: 'cbc', tweak: 'plain64' },
  'aes-cbc-plain': { mode: 'cbc', tweak: 'plain' },
} as const

/** A cipher by its name in dm-crypt's notation: cipher, mode, and how the IV of a data unit comes about. */
export type CipherName = keyof typeof ciphers

/** How a cipher works on data units. */
export interface CipherSpec {
  readonly mode: 'xts' | 'cbc'
  /** The sector number in 64 bits, in its lowest 32 bits, or encrypted under a hash of the key. */
  readonly tweak: 'plain64' | 'plain' | 'essiv'
}

/** The one that we write, and that a volume of ours has. */
export const ownCipher = 'aes-xts-plain64'

/** Takes a header's text for a cipher; `where` names the field. Throws a LuksError `unsupported-cipher` that says what to do. */
export function checkCipher(text: string, where: string): CipherName {
  if (!Object.hasOwn(ciphers, text)) {
    throw new LuksError(
      'unsupported-cipher',
      `${where}: cipher ${text} cannot be read here, only ${Object.keys(ciphers).join(', ')}. ` +
        `Re-encrypt the disk with "cryptsetup reencrypt --cipher ${ownCipher}", or copy it out where its cipher is known`,
    )
  }
  // One of the table's own keys.
  return text as CipherName
}

/** Refuses a cipher that QEMU and we cannot write the way we need to, with a LuksError `unsupported-cipher`. */
export function checkOwnCipher(cipher: CipherName): void {
  if (cipher === ownCipher) return
  throw new LuksError(
    'unsupported-cipher',
    `cipher ${cipher} is read for import only: import the disk, or re-encrypt it with "cryptsetup reencrypt --cipher ${ownCipher}"`,
  )
}

/** How `cipher` works. */
export function specOf(cipher: CipherName): CipherSpec {
  return ciphers[cipher]
}

/** Refuses a key that `cipher` does not take, with a LuksError `bad-key-size`; `what` names the key. */
export function checkKeySize(cipher: CipherName, sizeBytes: number, what: string): void {
  const sizes: readonly number[] = specOf(cipher).mode === 'xts' ? [64, 32] : [32, 24, 16]
  if (!sizes.includes(sizeBytes)) {
    throw new LuksError('bad-key-size', `${what} of ${sizeBytes} bytes: ${cipher} takes ${sizes.join(' or ')}`)
  }
}
