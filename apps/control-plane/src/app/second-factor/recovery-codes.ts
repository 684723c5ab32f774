import { createHash, randomBytes } from 'node:crypto'
import { toBase32 } from './base32.ts'

/** How many recovery codes a user gets. */
export const recoveryCodeCount = 10

/** 80 bits: nobody guesses one, so its SHA-256 needs no salt. */
const codeSizeBytes = 10

/** New recovery codes, each 16 letters and digits in groups of four. */
export function newRecoveryCodes(): string[] {
  return Array.from({ length: recoveryCodeCount }, () =>
    toBase32(randomBytes(codeSizeBytes))
      .replaceAll(/.{4}(?=.)/g, '$&-')
      .toLowerCase(),
  )
}

/** What is kept of a recovery code, hex; `null`: it cannot be one. Blanks, hyphens and case do not matter. */
export function recoveryCodeHash(code: string): string | null {
  const plain = code.replaceAll(/[\s-]/g, '').toUpperCase()
  return /^[A-Z2-7]{16}$/.test(plain) ? createHash('sha256').update(plain).digest('hex') : null
}
