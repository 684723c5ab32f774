export type PkiErrorCode =
  | 'bad-certificate'
  | 'bad-request'
  | 'bad-name'
  | 'bad-pkcs12'
  | 'bad-password'
  | 'wrong-password'
  | 'bad-statement'

/** What was wrong with a certificate, a request, a name in one, or a PKCS#12 file. */
export class PkiError extends Error {
  readonly code: PkiErrorCode

  constructor(code: PkiErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'PkiError'
    this.code = code
  }
}
