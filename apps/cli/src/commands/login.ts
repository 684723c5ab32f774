import type { LoginAnswer } from '@cryptvisor/control-plane-api'
import { RestClientError } from '@cryptvisor/rest/client'
import { Option } from 'commander'
import { wholeNumber } from '../arguments.ts'
import { BrowserLogin } from '../browser-login.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { saveConfig } from '../config-file.ts'
import { type Place, resolvePlace } from '../connection.ts'
import { getCode, getPassword, type PasswordOptions } from '../password.ts'
import { addPasswordOptions } from '../password-options.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'

interface LoginOptions extends PasswordOptions {
  readonly user?: string
  readonly codeFile?: string
  readonly source?: string
  readonly callbackPort?: number
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
  addPasswordOptions(command)
    .examples(
      'login --source corp',
      'login --url https://127.0.0.1:8443 --ca ca.pem --user admin',
      'login --user admin --password-stdin < password',
    )
    .action(async (options: LoginOptions) => {
      const place = await resolvePlace(cli.options, cli.surroundings)
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

/** Has a browser log in at the provider, and makes a session of what it comes back with. */
async function logInBySource(
  cli: Cli,
  place: Place,
  source: string,
  { callbackPort = 0, codeFile }: LoginOptions,
): Promise<LoginAnswer> {
  await using browser = await BrowserLogin.listen(callbackPort)
  const { redirectUri } = browser
  const { attempt, url } = await cli.withClientOf(place, null, (client) =>
    client.beginOidcLogin({ source, redirectUri }),
  )
  cli.surroundings.stderr.write(line('open this in a browser on this machine, and log in there:') + line(url))
  const query = await cli.surroundings.interrupt.during((signal) => browser.answer(signal))
  const finish = (code?: string) =>
    cli.withClientOf(place, null, (client) =>
      client.finishOidcLogin({ attempt, query, ...(code === undefined ? {} : { code }) }),
    )
  const given = codeFile === undefined ? undefined : await getCode(codeFile, cli.surroundings)
  try {
    return await finish(given)
  } catch (error) {
    if (given === undefined && needsCode(error)) return finish(await getCode(undefined, cli.surroundings))
    if (!isRefusedLogin(error)) throw error
    throw new CliError('not-logged-in', error.message, { next: 'run the command again', cause: error })
  }
}

async function keepSession(cli: Cli, { url, ca, configPath }: Place, answer: LoginAnswer): Promise<void> {
  const { user, token, expiresAt } = answer
  await saveConfig(configPath, { url, ca, user, token, expiresAt })
  cli.show({ url, user, expiresAt }, () => line(`logged in to ${url} as ${user} until ${formatTime(expiresAt)}`))
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
