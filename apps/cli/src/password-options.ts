import { Option } from 'commander'
import type { CliCommand } from './command.ts'

/** Adds the options that say where a password comes from. */
export function addPasswordOptions(command: CliCommand): CliCommand {
  return command
    .addOption(
      new Option('--password-stdin', 'read the password from standard input').conflicts([
        'passwordFile',
        'passwordPrompt',
      ]),
    )
    .addOption(new Option('--password-file <file>', 'read the password from a file').conflicts('passwordPrompt'))
}
