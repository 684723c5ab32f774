import { CommanderError } from 'commander'
import type { GlobalOptions } from './cli.ts'
import { CliCommand } from './command.ts'
import { type ExitCode, exitCodes } from './exit-codes.ts'
import { buildProgram } from './program.ts'
import { rehearsalWords } from './rehearsal-words.ts'
import { Rehearsed } from './rehearsing-client.ts'
import { report } from './report.ts'
import type { Surroundings } from './surroundings.ts'

/** Runs one command line (without `node` and the script) and gives the exit code; failures are reported, not thrown. */
export async function run(argv: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const program = buildProgram(surroundings)
  let noun: string | undefined
  program.hook('preAction', (_, action) => {
    noun = action instanceof CliCommand ? action.path.split(' ')[1] : undefined
  })
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return exitCodes.ok
  } catch (error) {
    // Help and version end this way too; help that nobody asked for is a wrong use.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
    const { json, verbose } = program.opts<GlobalOptions>()
    if (error instanceof Rehearsed) {
      const { rehearsal } = error
      surroundings.stdout.write(json === true ? `${JSON.stringify(rehearsal, null, 2)}\n` : rehearsalWords(rehearsal))
      return exitCodes.ok
    }
    // Where parsing failed, an option may not have been read yet.
    const given = (option: string, value: boolean | undefined) => value === true || argv.includes(option)
    return report(error, { json: given('--json', json), verbose: given('--verbose', verbose), noun }, surroundings)
  }
}
