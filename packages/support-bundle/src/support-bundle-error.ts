/** `not-a-bundle`: it is no sealed support bundle. `wrong-key`: it was sealed to another key, or changed. */
export type SupportBundleErrorCode = 'not-a-bundle' | 'wrong-key'

/** A sealed bundle that cannot be opened. */
export class SupportBundleError extends Error {
  override readonly name = 'SupportBundleError'
  readonly code: SupportBundleErrorCode

  constructor(code: SupportBundleErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
