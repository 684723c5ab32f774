import { RestClientError } from '@cryptvisor/rest/client'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { saveConfig } from '../config-file.ts'
import { resolvePlace } from '../connection.ts'
import { getCode, getPassword, type PasswordOptions } from '../password.ts'
import { addPasswordOptions } from '../password-options.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'

interface LoginOptions extends PasswordOptions {
  readonly user?: string
  readonly codeFile?: string
}

/** `login`: starts a session and keeps it, with URL and CA, in the configuration file. */
export function addLogin(program: CliCommand, cli: Cli): void {
  const command = program
    .command('login')
    .description('start a session and keep it in the configuration file')
    .option('--user <name>', 'who you are (default: who logged in last)')
    .option('--code-file <file>', 'read the code of your second factor from a file (default: ask, where one is needed)')
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
      await saveConfig(configPath, { url, ca, user: answer.user, token: answer.token, expiresAt: answer.expiresAt })
      cli.show({ url, user: answer.user, expiresAt: answer.expiresAt }, ({ expiresAt }) =>
        line(`logged in to ${url} as ${answer.user} until ${formatTime(expiresAt)}`),
      )
    })
}

function isRefusedLogin(error: unknown): error is RestClientError {
  return error instanceof RestClientError && error.status === 401
}

const needsCode = (error: unknown) => error instanceof RestClientError && error.answerCode === 'second-factor-required'

function refusedLogin(error: RestClientError): CliError {
  return new CliError('not-logged-in', error.message, {
    next: needsCode(error)
      ? 'run the command again with the next code, or with a recovery code'
      : 'check the user and the password, and run the command again',
    ...(error.answerCode === undefined ? {} : { serviceCode: error.answerCode }),
    cause: error,
  })
}
