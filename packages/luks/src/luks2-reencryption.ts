import { LuksError } from './luks-error.ts'

/** The error for a volume in the middle of a re-encryption, which says what to do. */
export function reencryptionError(): LuksError {
  return new LuksError(
    'reencryption',
    'this volume is being re-encrypted: let "cryptsetup reencrypt --resume-only" finish first',
  )
}
