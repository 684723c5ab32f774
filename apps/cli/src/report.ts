import { RestClientError } from '@cryptvisor/rest/client'
import { CliError } from './cli-error.ts'
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
  if (options.verbose) stderr.write(detailsOf(error))
  return exitCode
}

/** For `--verbose`: where a fault of ours was found, and what caused the failure. Never holds a secret. */
function detailsOf(error: unknown): string {
  if (!(error instanceof Error)) return ''
  const isExpected = error instanceof CliError || error instanceof RestClientError
  return `${isExpected ? '' : `${error.stack ?? ''}\n`}${causesOf(error)}`
}

function causesOf({ cause }: Error): string {
  return cause instanceof Error ? `  because: ${printable(cause.message)}\n${causesOf(cause)}` : ''
}
