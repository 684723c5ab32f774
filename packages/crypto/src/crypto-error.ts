/** Why a cryptographic function refused its input. */
export type CryptoErrorCode =
  | 'key-size'
  | 'weak-key'
  | 'data-size'
  | 'sector-range'
  | 'overlap'
  | 'memory'
  | 'disposed'
  | 'not-authentic'

/** Thrown by everything in this package. Texts name sizes and fields, never contents. */
export class CryptoError extends Error {
  override readonly name = 'CryptoError'
  readonly code: CryptoErrorCode

  constructor(code: CryptoErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
