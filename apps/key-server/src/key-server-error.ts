/** What can keep the key server from being set up or from starting. */
export type KeyServerErrorCode =
  /** The command line is not what was expected. */
  | 'bad-usage'
  /** The data folder holds a key server already. */
  | 'already-set-up'
  /** The data folder holds no key server. */
  | 'not-set-up'
  /** config.json is not what was expected. */
  | 'bad-config'
  /** The root key would lie with the data that it protects. */
  | 'root-key-within-data'
  /** A name, a file or a folder that was given cannot be used. */
  | 'bad-argument'
  /** The database does not fit the program's other data, or is damaged. */
  | 'bad-database'
  /** The process was started in a way that gives its memory away. */
  | 'unsafe-process'

/** Thrown by this program; its text says what to do next. */
export class KeyServerError extends Error {
  override readonly name = 'KeyServerError'
  readonly code: KeyServerErrorCode

  constructor(code: KeyServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
