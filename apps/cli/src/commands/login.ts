import { RestClientError } from '@cryptvisor/rest/client'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { saveConfig } from '../config-file.ts'
import { resolvePlace } from '../connection.ts'
import { getPassword, type PasswordOptions } from '../password.ts'
import { addPasswordOptions } from '../password-options.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'

interface LoginOptions extends PasswordOptions {
  readonly user?: string
}

/** `login`: starts a session and keeps it, with URL and CA, in the configuration file. */
export function addLogin(program: CliCommand, cli: Cli): void {
  const command = program
    .command('login')
    .description('start a session and keep it in the configuration file')
    .option('--user <name>', 'who you are (default: who logged in last)')
  addPasswordOptions(command)
    .examples(
      'login --url https://127.0.0.1:8443 --ca ca.pem --user admin',
      'login --user admin --password-stdin < password',
    )
    .action(async (options: LoginOptions) => {
      const place = await resolvePlace(cli.options, cli.surroundings)
      const { url, ca, config, configPath } = place
      const user = options.user ?? config?.user
      if (user === undefined) {
        throw new CliError('usage', '--user: is missing', { field: '--user', next: 'say who you are: --user NAME' })
      }
      const password = await getPassword(options, cli.surroundings, {
        text: `Password of ${user} at ${url}: `,
        isNew: false,
      })
      const answer = await cli
        .withClientOf(place, null, (client) => client.login({ user, password }))
        .catch((error: unknown) => {
          throw isRefusedLogin(error) ? refusedLogin(error) : error
        })
      await saveConfig(configPath, { url, ca, user: answer.user, token: answer.token, expiresAt: answer.expiresAt })
      cli.show({ url, user: answer.user, expiresAt: answer.expiresAt }, ({ expiresAt }) =>
        line(`logged in to ${url} as ${answer.user} until ${formatTime(expiresAt)}`),
      )
    })
}

function isRefusedLogin(error: unknown): error is RestClientError {
  return error instanceof RestClientError && error.status === 401
}

function refusedLogin(error: RestClientError): CliError {
  return new CliError('not-logged-in', error.message, {
    next: 'check the user and the password, and run the command again',
    ...(error.answerCode === undefined ? {} : { serviceCode: error.answerCode }),
    cause: error,
  })
}
