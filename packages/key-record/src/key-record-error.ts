/** Which check a key record failed. */
export type KeyRecordErrorCode =
  | 'too-large'
  | 'malformed'
  | 'unknown-field'
  | 'bad-field'
  | 'unsupported-version'
  | 'unsupported-algorithm'
  | 'bad-key-size'
  | 'duplicate-kid'
  | 'foreign-kid'
  | 'not-a-recipient'
  | 'wrong-kek'
  | 'other-kind'
  | 'other-layer'
  | 'other-luks-uuid'
  | 'other-vm'
  | 'old-generation'
  | 'no-valid-copy'
  | 'copies-conflict'

/** Thrown by everything in this package. Texts name fields, key IDs and sizes, never key material. */
export class KeyRecordError extends Error {
  override readonly name = 'KeyRecordError'
  readonly code: KeyRecordErrorCode

  constructor(code: KeyRecordErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
