import type { ResultReason, ResultStatus } from '@cryptvisor/kmip'

/**
 * - `invalid-options`: the server's address or certificates cannot be used as they are.
 * - `connect-failed`: nobody answers at that address.
 * - `tls-failed`: no trust, in one direction or the other.
 * - `timeout`: no connection, or no whole answer, in the time given.
 * - `closed`: the connection ended before the answer; what was asked for may have been done.
 * - `busy`: too many requests wait already.
 * - `invalid-request`: what was asked for cannot be sent, in the version of that server or at all.
 * - `protocol`: the answer is not what KMIP lets a server answer.
 * - `operation-failed`: the server answers that it did not do it, and why.
 */
export type KmipClientErrorCode =
  | 'invalid-options'
  | 'connect-failed'
  | 'tls-failed'
  | 'timeout'
  | 'closed'
  | 'busy'
  | 'invalid-request'
  | 'protocol'
  | 'operation-failed'

/** What a server said of an operation that failed. */
export interface Refusal {
  readonly resultStatus: ResultStatus
  /** A number where the standard does not name it; `null` when the server gave none. */
  readonly resultReason: ResultReason | number | null
  readonly resultMessage: string | null
  /** Whether the server refused the message as a whole and looked at no operation in it. */
  readonly isWholeMessage: boolean
}

/** What every function of this package throws. The message says what to do next, and holds nothing secret. */
export class KmipClientError extends Error {
  override readonly name = 'KmipClientError'
  readonly code: KmipClientErrorCode
  /** What the server said; only with `operation-failed`, and not where it never tried since another item failed. */
  readonly refusal: Refusal | null

  constructor(code: KmipClientErrorCode, message: string, options?: ErrorOptions & { refusal?: Refusal }) {
    super(message, options)
    this.code = code
    this.refusal = options?.refusal ?? null
  }

  /** The result reason with which the server refused; `null` when it did not, or gave none. */
  get resultReason(): ResultReason | number | null {
    return this.refusal?.resultReason ?? null
  }
}
