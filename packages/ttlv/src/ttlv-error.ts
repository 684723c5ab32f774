/** What a TTLV item, or a value that is to become one, can have wrong. */
export type TtlvErrorCode =
  | 'truncated'
  | 'wrong-tag'
  | 'wrong-type'
  | 'wrong-length'
  | 'wrong-padding'
  | 'wrong-value'
  | 'out-of-range'
  | 'unknown-enumeration'
  | 'missing-field'
  | 'unknown-field'
  | 'second-copy'
  | 'wrong-order'
  | 'not-in-version'
  | 'trailing-bytes'
  | 'limit-exceeded'

/**
 * What every decoder and encoder of this package throws, and nothing else. The message names the field, what was
 * expected and what was found; it never holds a value, since that may be a key.
 */
export class TtlvError extends Error {
  override readonly name = 'TtlvError'
  readonly code: TtlvErrorCode
  readonly detail: string
  #path = ''

  constructor(code: TtlvErrorCode, detail: string, options?: ErrorOptions) {
    super(detail, options)
    this.code = code
    this.detail = detail
  }

  /** Which field is meant, from the outermost that is known: `batchItems[1].requestPayload`; empty for the whole. */
  get path(): string {
    return this.#path
  }

  /** Puts the name of the surrounding field, or the place in a list, before the path; used while the error rises. */
  within(field: string | number): this {
    const inner = this.#path
    const outer = typeof field === 'number' ? `[${field}]` : field
    this.#path = inner === '' || inner.startsWith('[') ? `${outer}${inner}` : `${outer}.${inner}`
    this.message = `${this.#path}: ${this.detail}`
    return this
  }
}
