export type QmpErrorCode =
  /** QEMU refused a command, or failed at it; `qemuClass` is its own class of the error. */
  | 'refused'
  /** QEMU said something that is no QMP; the connection was ended. */
  | 'protocol'
  /** QEMU answered a command with something that is no answer to it. */
  | 'bad-answer'
  /** A message had more than `messageSizeMax` bytes; the connection was ended. */
  | 'too-long'
  /** Nobody listens at the socket, or nobody greets there. */
  | 'connect-failed'
  /** The connection is at its end: QEMU went away, or `close` was called. Whether a command was carried out is unknown. */
  | 'closed'
  /** There was no answer, or no such event, in time. A command may still be carried out. */
  | 'timeout'
  /** The caller's signal said so. A command may still be carried out. */
  | 'aborted'
  /** Too many commands wait for their answers. */
  | 'too-many'
  /** So much happened since the mark that events were dropped: ask QEMU how things are. */
  | 'events-lost'

/** Thrown by everything in this package. Texts never hold key material. */
export class QmpError extends Error {
  override readonly name = 'QmpError'
  readonly code: QmpErrorCode
  /** `GenericError`, `CommandNotFound`, `DeviceNotFound`, …; `null` where the code is not `refused`. */
  readonly qemuClass: string | null

  constructor(code: QmpErrorCode, message: string, options?: ErrorOptions & { readonly qemuClass?: string }) {
    super(message, options)
    this.code = code
    this.qemuClass = options?.qemuClass ?? null
  }
}
