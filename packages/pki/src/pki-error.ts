export type PkiErrorCode = 'bad-certificate' | 'bad-request' | 'bad-name'

/** What was wrong with a certificate, a request or a name in one. */
export class PkiError extends Error {
  readonly code: PkiErrorCode

  constructor(code: PkiErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = 'PkiError'
    this.code = code
  }
}
