import { createInterface } from 'node:readline'
import { CliError } from './cli-error.ts'
import type { Surroundings } from './surroundings.ts'

/**
 * Asks a question that is answered by `yes`. Throws `CliError`: `usage` where there is nobody to ask, and then `without` says
 * which option answers it; `interrupted` for any other answer.
 */
export async function confirm(
  { stdin, stderr }: Pick<Surroundings, 'stdin' | 'stderr'>,
  question: string,
  without: string,
): Promise<void> {
  if (stdin.isTTY !== true) throw new CliError('usage', 'there is no terminal to ask on', { next: without })
  const lines = createInterface({ input: stdin, terminal: false })
  try {
    stderr.write(`${question} [yes/no] `)
    const { value, done } = await lines[Symbol.asyncIterator]().next()
    if (done === true || !/^(y|yes)$/i.test(value.trim())) {
      throw new CliError('interrupted', 'not confirmed: nothing was changed')
    }
  } finally {
    lines.close()
  }
}
