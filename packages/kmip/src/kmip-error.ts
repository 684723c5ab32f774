import type { TtlvError } from '@cryptvisor/ttlv'
import type { ResultReason } from './enumeration.ts'

/** Why an operation or a message fails, with the result reason that the peer is told (KMIP 1.4, 6.10 and 11). */
export class KmipError extends Error {
  override readonly name = 'KmipError'
  readonly code: ResultReason

  /** `message` is for the peer: it names what was wrong and what was expected. Detail for our log goes into `cause`. */
  constructor(code: ResultReason, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }

  /**
   * What the peer is told about bytes that are no message: Invalid Field where a field has something that the standard
   * does not provide for, else Invalid Message (KMIP 1.4, 11.1).
   */
  static from(error: TtlvError): KmipError {
    return new KmipError(reasonOf(error), error.message, { cause: error })
  }
}

function reasonOf(error: TtlvError): ResultReason {
  switch (error.code) {
    case 'unknown-enumeration':
    case 'unknown-field':
    case 'not-in-version':
    case 'wrong-value':
    case 'out-of-range':
      return 'InvalidField'
    case 'truncated':
    case 'wrong-tag':
    case 'wrong-type':
    case 'wrong-length':
    case 'wrong-padding':
    case 'missing-field':
    case 'second-copy':
    case 'wrong-order':
    case 'trailing-bytes':
    case 'limit-exceeded':
      return 'InvalidMessage'
  }
}
