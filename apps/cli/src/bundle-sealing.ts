import { isUtf8 } from 'node:buffer'
import type { Secret } from '@cryptvisor/secret'
import { Option } from 'commander'
import { CliError } from './cli-error.ts'
import type { CliCommand } from './command.ts'
import { getFilePassword } from './file-password.ts'
import type { PasswordOptions } from './password.ts'
import { addPasswordOptions } from './password-options.ts'
import type { Surroundings } from './surroundings.ts'

/** The options that say what a support bundle is sealed to. */
export interface SealingOptions extends PasswordOptions {
  readonly passwordPrompt?: boolean
  readonly recipient?: readonly string[]
  readonly plain?: boolean
}

/** What a support bundle is sealed to. Dispose of the password. */
export type BundleSealing =
  | { readonly kind: 'host-key' }
  | { readonly kind: 'password'; readonly password: Secret }
  | { readonly kind: 'recipient'; readonly recipients: readonly string[] }
  | { readonly kind: 'none' }

/** Adds them. */
export function addSealingOptions(command: CliCommand): CliCommand {
  const others = ['recipient', 'plain']
  addPasswordOptions(command)
  for (const option of command.options) {
    if (option.name() === 'password-stdin' || option.name() === 'password-file') option.conflicts(others)
  }
  return command
    .addOption(new Option('--password-prompt', 'ask for a password on the terminal').conflicts(others))
    .addOption(
      new Option('--recipient <key>', 'seal it to this public key of age (age1…); may be given several times')
        .argParser((key: string, keys: readonly string[] | undefined) => [...(keys ?? []), key])
        .conflicts('plain'),
    )
    .addOption(new Option('--plain', 'do not seal it: whoever gets the file reads it'))
}

/**
 * What the options say; `null`: none of them was given. Asks for the password where that is to be done. Throws `CliError`.
 */
export async function chosenSealing(
  options: SealingOptions,
  surroundings: Surroundings,
): Promise<BundleSealing | null> {
  const { passwordStdin, passwordFile, passwordPrompt, recipient, plain } = options
  if (recipient !== undefined) return { kind: 'recipient', recipients: recipient }
  if (plain === true) return { kind: 'none' }
  if (passwordStdin !== true && passwordFile === undefined && passwordPrompt !== true) return null
  const password = await getFilePassword(options, surroundings, true, 'support bundle')
  if (password.expose(isUtf8)) return { kind: 'password', password }
  password[Symbol.dispose]()
  throw new CliError('bad-password', 'the password is no text in UTF-8, as age takes it', {
    next: 'choose another one',
  })
}
