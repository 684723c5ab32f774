/**
 * - `unreachable`: none of the provider's servers answers in time.
 * - `not-trusted`: TLS fails, in one direction or the other, or the certificates given cannot be used.
 * - `key-missing`: the provider has no such key (any more).
 * - `key-unusable`: there is one, and it is not an AES-256 key that can be had, or its state forbids what was asked.
 * - `labels-refused`: the provider does not take the labels.
 * - `denied`: the provider refuses; its reason is in the message.
 * - `not-backed-up`: a native provider makes no keys before its derivation key was backed up.
 * - `protocol`: a server answers something that is not KMIP, or not to the question.
 */
export type KeyProviderErrorCode =
  | 'unreachable'
  | 'not-trusted'
  | 'key-missing'
  | 'key-unusable'
  | 'labels-refused'
  | 'denied'
  | 'not-backed-up'
  | 'protocol'

/** What an error is about, as far as it is known. */
export interface ErrorSubject {
  readonly providerId: string
  readonly keyId?: string
  /** The name of the server that answered, or failed last. */
  readonly server?: string
}

/** What every function of this package throws. It holds nothing secret. */
export class KeyProviderError extends Error {
  override readonly name = 'KeyProviderError'
  readonly code: KeyProviderErrorCode
  readonly providerId: string
  readonly keyId: string | null
  readonly server: string | null

  constructor(code: KeyProviderErrorCode, subject: ErrorSubject, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.providerId = subject.providerId
    this.keyId = subject.keyId ?? null
    this.server = subject.server ?? null
  }
}
