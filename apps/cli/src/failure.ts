import { RestClientError } from '@cryptvisor/rest/client'
import { CliError } from './cli-error.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { listCommand } from './list-commands.ts'

/** A failure as it is reported: one shape for people and for `--json`. */
export interface Failure {
  readonly exitCode: ExitCode
  readonly code: string
  readonly message: string
  readonly field: string | undefined
  /** What to do next, where the message does not say it already. */
  readonly next: string | undefined
}

/** Words whatever a command threw; `noun` is that of the command, such as `vm`. */
export function failureOf(error: unknown, noun?: string): Failure {
  if (error instanceof CliError) {
    const { exitCode, serviceCode, code, message, field, next } = error
    return { exitCode, code: serviceCode ?? code, message, field, next }
  }
  if (error instanceof RestClientError) return failureOfCall(error, noun)
  return {
    exitCode: exitCodes.refused,
    code: 'internal',
    message: error instanceof Error ? error.message : String(error),
    field: undefined,
    next: 'this is a fault of cryptvisor; run the command again with --verbose and report what it prints',
  }
}

function failureOfCall(error: RestClientError, noun: string | undefined): Failure {
  const { message, field } = error
  switch (error.code) {
    case 'answered':
      return {
        exitCode: error.status === 401 ? exitCodes.notLoggedIn : exitCodes.refused,
        code: error.answerCode ?? `status-${error.status}`,
        message,
        field,
        next:
          error.answerCode === 'second-factor-required'
            ? 'set one up: cryptvisor user totp enroll'
            : afterStatus(error.status, listCommand(noun, field)),
      }
    case 'unreachable':
    case 'timeout':
      return {
        exitCode: exitCodes.unreachable,
        code: error.code,
        message,
        field,
        next: 'check that the control plane runs and that the URL is right (--url, or that of `cryptvisor login`)',
      }
    case 'not-trusted':
      return {
        exitCode: exitCodes.unreachable,
        code: error.code,
        message,
        field,
        next: 'check that --ca (or that of `cryptvisor login`) is the CA of this control plane, and --url its name',
      }
    case 'protocol':
      return {
        exitCode: exitCodes.unreachable,
        code: error.code,
        message,
        field,
        next: 'check that the URL is that of a control plane of this version',
      }
    case 'aborted':
      return { exitCode: exitCodes.interrupted, code: 'interrupted', message: 'interrupted', field, next: undefined }
  }
}

/** The service's own text says most; this adds the command that helps. */
function afterStatus(status: number | undefined, list: string | undefined): string | undefined {
  if (status === 401) return 'log in: cryptvisor login'
  if (status === 403) return 'see your role and its privileges: cryptvisor whoami'
  if (status === 404 && list !== undefined) return `see what there is: ${list}`
  if (status === 500) return "the control plane's log has the cause"
  return undefined
}
