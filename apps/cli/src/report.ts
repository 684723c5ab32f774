import type { ExitCode } from './exit-codes.ts'
import { failureOf } from './failure.ts'
import { printable } from './printable.ts'
import type { Surroundings } from './surroundings.ts'

/** How a failure is reported: the command's own options, and its noun. */
export interface ReportOptions {
  readonly json: boolean
  readonly verbose: boolean
  readonly noun?: string | undefined
}

/** Reports whatever a command threw on standard error and gives the exit code. */
export function report(error: unknown, options: ReportOptions, { stderr }: Pick<Surroundings, 'stderr'>): ExitCode {
  const { exitCode, code, message, field, next } = failureOf(error, options.noun)
  if (options.json) {
    const text = next === undefined ? message : `${message}; ${next}`
    stderr.write(`${JSON.stringify({ error: { code, message: text, ...(field === undefined ? {} : { field }) } })}\n`)
    return exitCode
  }
  stderr.write(`cryptvisor: ${printable(message)}\n${next === undefined ? '' : `  ${printable(next)}\n`}`)
  if (options.verbose && error instanceof Error) stderr.write(`${traceOf(error)}\n`)
  return exitCode
}

/** Where an error came from, with all its causes. Error texts never hold secrets. */
function traceOf(error: Error): string {
  const cause = error.cause instanceof Error ? `\ncaused by ${traceOf(error.cause)}` : ''
  return `${error.stack ?? error.message}${cause}`
}
