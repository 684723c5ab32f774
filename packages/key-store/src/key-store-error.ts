/** What can be wrong with the root key, the keyring or a sealed value. */
export type KeyStoreErrorCode =
  /** There is no file with the root key at the given place. */
  | 'root-key-missing'
  /** A file is there where a new root key was to be written; it is never replaced. */
  | 'root-key-exists'
  /** The file with the root key cannot be used: wrong size, or others may read it. */
  | 'root-key-unusable'
  /** The keyring is under another root key. */
  | 'wrong-root-key'
  /** There is no keyring in the storage. */
  | 'keyring-missing'
  /** There is a keyring already; a second one would make all that is sealed unreadable. */
  | 'keyring-exists'
  /** The keyring does not authenticate under its root key, or is no keyring. */
  | 'keyring-damaged'
  /** A sealed value does not authenticate: it was changed, or belongs to something else. */
  | 'value-damaged'
  /** A sealed value names a database key that the keyring lacks. */
  | 'database-key-missing'
  /** A value is too large, or what it is bound to cannot be written down unambiguously. */
  | 'bad-argument'

/** The error of this package. Texts name places, ids and sizes, never contents. */
export class KeyStoreError extends Error {
  override readonly name = 'KeyStoreError'
  readonly code: KeyStoreErrorCode

  constructor(code: KeyStoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
