/** What is wrong with an image or with a call. */
export type Qcow2ErrorCode =
  /** The image ends before something that it names. */
  | 'truncated'
  | 'bad-header'
  | 'bad-snapshot-table'
  /** An entry of an L1 or L2 table that no writer makes. */
  | 'bad-table-entry'
  | 'bad-compressed-cluster'
  | 'unsupported-feature'
  | 'backing-file'
  | 'external-data-file'
  | 'encrypted'
  /** Its writer did not close it, or found it damaged. */
  | 'not-clean'
  /** The caller asked for bytes outside the disk or image. */
  | 'out-of-range'
  /** The caller wants an image of a size that we do not write. */
  | 'bad-size'

/** Thrown by everything in this package. Texts name fields, offsets and sizes, never contents. */
export class Qcow2Error extends Error {
  override readonly name = 'Qcow2Error'
  readonly code: Qcow2ErrorCode

  constructor(code: Qcow2ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
