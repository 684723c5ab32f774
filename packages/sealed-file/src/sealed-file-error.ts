/** Why a sealed file cannot be made or opened. */
export type SealedFileErrorCode =
  | 'key-size'
  | 'bad-path'
  | 'bad-header'
  | 'truncated'
  | 'not-authentic'
  | 'too-large'
  | 'out-of-range'
  | 'finished'
  | 'disposed'

/** Thrown by everything in this package. Texts name segments and sizes, never contents. */
export class SealedFileError extends Error {
  override readonly name = 'SealedFileError'
  readonly code: SealedFileErrorCode

  constructor(code: SealedFileErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
