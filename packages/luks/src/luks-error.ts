/** Which check a LUKS header, a passphrase or a record copy failed. */
export type LuksErrorCode =
  | 'truncated'
  | 'bad-magic'
  | 'unsupported-version'
  | 'bad-text'
  | 'unsupported-cipher'
  | 'unsupported-hash'
  | 'bad-key-size'
  | 'bad-payload-offset'
  | 'bad-iterations'
  | 'bad-uuid'
  | 'bad-slot-state'
  | 'bad-stripes'
  | 'slot-out-of-range'
  | 'slots-overlap'
  | 'bad-checksum'
  | 'bad-json'
  | 'bad-field'
  | 'bad-digest'
  | 'detached-header'
  | 'reencryption'
  | 'unsupported-requirement'
  | 'unsupported-segment'
  | 'unsupported-integrity'
  | 'unsupported-sector-size'
  | 'unsupported-key-derivation'
  | 'unsupported-key-slot'
  | 'too-much-work'
  | 'key-derivation-failed'
  | 'no-active-slot'
  | 'wrong-passphrase'
  | 'other-volume-key'
  | 'no-free-slot'
  | 'inactive-key-slot'
  | 'bad-backup'
  | 'other-volume'
  | 'no-record-room'
  | 'record-too-large'
  | 'bad-record-text'

/** Thrown by everything in this package. Texts name fields, offsets and sizes, never key material. */
export class LuksError extends Error {
  override readonly name = 'LuksError'
  readonly code: LuksErrorCode

  constructor(code: LuksErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
