import type { LoginAnswer } from '@cryptvisor/control-plane-api'
import type { RestClientError } from '@cryptvisor/rest/client'
import { Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { saveConfig } from '../config-file.ts'
import { type Place, resolvePlace } from '../connection.ts'
import { isRefusedLogin, needsCode } from '../login-refusal.ts'
import { getCode, getPassword, type PasswordOptions } from '../password.ts'
import { addPasswordOptions } from '../password-options.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { logInBySource, type SourceLoginOptions } from '../source-login.ts'

interface LoginOptions extends PasswordOptions, SourceLoginOptions {
  readonly user?: string
  readonly source?: string
}

/** `login`: starts a session and keeps it, with URL and CA, in the configuration file. */
export function addLogin(program: CliCommand, cli: Cli): void {
  const command = program
    .command('login')
    .description('start a session and keep it in the configuration file')
    .option('--user <name>', 'who you are (default: who logged in last)')
    .option('--code-file <file>', 'read the code of your second factor from a file (default: ask, where one is needed)')
  command
    .addOption(
      new Option(
        '--source <name>',
        'log in by this identity source, in a browser on this machine; its users are called NAME@SOURCE',
      ).conflicts(['user', 'passwordStdin', 'passwordFile']),
    )
    .option(
      '--callback-port <port>',
      'where the browser comes back to, on 127.0.0.1, where the provider knows one port only (default: any that is free)',
      wholeNumber(1, 65_535),
    )
    .option('--device', 'with --source: log in on another machine; for a terminal without a browser')
  addPasswordOptions(command)
    .examples(
      'login --source corp',
      'login --source corp --device',
      'login --url https://127.0.0.1:8443 --ca ca.pem --user admin',
      'login --user admin --password-stdin < password',
    )
    .action(async (options: LoginOptions) => {
      const place = await resolvePlace(cli.options, cli.surroundings)
      if (options.device === true && options.source === undefined) {
        const next = 'say by which identity source: --source NAME'
        throw new CliError('usage', '--device: needs --source', { field: '--device', next })
      }
      if (options.source !== undefined) {
        await keepSession(cli, place, await logInBySource(cli, place, options.source, options))
        return
      }
      const { url, config } = place
      const user = options.user ?? config?.user
      if (user === undefined) {
        throw new CliError('usage', '--user: is missing', { field: '--user', next: 'say who you are: --user NAME' })
      }
      const password = await getPassword(options, cli.surroundings, {
        text: `Password of ${user} at ${url}: `,
        isNew: false,
      })
      const logIn = (code?: string) =>
        cli.withClientOf(place, null, (client) =>
          client.login({ user, password, ...(code === undefined ? {} : { code }) }),
        )
      const given = options.codeFile === undefined ? undefined : await getCode(options.codeFile, cli.surroundings)
      const answer = await logIn(given)
        .catch(async (error: unknown) => {
          if (given !== undefined || !needsCode(error)) throw error
          return logIn(await getCode(undefined, cli.surroundings))
        })
        .catch((error: unknown) => {
          throw isRefusedLogin(error) ? refusedLogin(error) : error
        })
      await keepSession(cli, place, answer)
    })
}

async function keepSession(cli: Cli, { url, ca, configPath }: Place, answer: LoginAnswer): Promise<void> {
  const { user, token, expiresAt } = answer
  await saveConfig(configPath, { url, ca, user, token, expiresAt })
  cli.show({ url, user, expiresAt }, () => line(`logged in to ${url} as ${user} until ${formatTime(expiresAt)}`))
}

function refusedLogin(error: RestClientError): CliError {
  return new CliError('not-logged-in', error.message, {
    next: needsCode(error)
      ? 'run the command again with the next code, or with a recovery code'
      : 'check the user and the password, and run the command again',
    ...(error.answerCode === undefined ? {} : { serviceCode: error.answerCode }),
    cause: error,
  })
}
