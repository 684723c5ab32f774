import { type ExitCode, exitCodes } from './exit-codes.ts'

/** Each kind of failure that the command itself finds, and the exit code that it ends with. */
const exitCodeOf = {
  usage: exitCodes.usage,
  'bad-file': exitCodes.usage,
  'bad-password': exitCodes.usage,
  'unsafe-file': exitCodes.usage,
  'not-found': exitCodes.refused,
  'not-whole': exitCodes.refused,
  ambiguous: exitCodes.refused,
  'bad-statement': exitCodes.refused,
  'check-failed': exitCodes.refused,
  'task-failed': exitCodes.refused,
  'task-cancelled': exitCodes.refused,
  unreachable: exitCodes.unreachable,
  'not-logged-in': exitCodes.notLoggedIn,
  interrupted: exitCodes.interrupted,
} as const satisfies Record<string, ExitCode>

export type CliErrorCode = keyof typeof exitCodeOf

export interface CliErrorOptions {
  /** What to do next: one line. */
  readonly next?: string
  /** The code that the service gave, where it is the better one to report. */
  readonly serviceCode?: string
  /** The option or argument that was wrong. */
  readonly field?: string
  /** Another exit code than that of the error code. */
  readonly exitCode?: ExitCode
  readonly cause?: unknown
}

/** A failure that ends the command: `message` says what was wrong, `next` what to do. Neither ever holds a secret. */
export class CliError extends Error {
  readonly code: CliErrorCode
  readonly next: string | undefined
  readonly serviceCode: string | undefined
  readonly field: string | undefined
  readonly exitCode: ExitCode

  constructor(code: CliErrorCode, message: string, options: CliErrorOptions = {}) {
    super(message, { cause: options.cause })
    this.name = 'CliError'
    this.code = code
    this.next = options.next
    this.serviceCode = options.serviceCode
    this.field = options.field
    this.exitCode = options.exitCode ?? exitCodeOf[code]
  }
}
