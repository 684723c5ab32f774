import { setTimeout as sleep } from 'node:timers/promises'
import type { LoginAnswer } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { BrowserLogin } from './browser-login.ts'
import type { Cli } from './cli.ts'
import { CliError } from './cli-error.ts'
import type { Place } from './connection.ts'
import { isRefusedLogin, needsCode } from './login-refusal.ts'
import { getCode } from './password.ts'
import { line } from './printable.ts'

/** How to log in by a source. */
export interface SourceLoginOptions {
  readonly codeFile?: string
  readonly callbackPort?: number
  readonly device?: boolean
}

/** Logs in at a provider, in a browser here or on another machine. Throws `CliError` where that is refused. */
export async function logInBySource(
  cli: Cli,
  place: Place,
  source: string,
  options: SourceLoginOptions,
): Promise<LoginAnswer> {
  const ask = <Result>(request: (client: ControlPlaneClient) => Promise<Result>) =>
    cli.withClientOf(place, null, request)
  const { callbackPort = 0 } = options
  if (options.device === true) return byDevice(cli, ask, source, options)
  await using browser = await BrowserLogin.listen(callbackPort)
  const { redirectUri } = browser
  const { attempt, url } = await ask((client) => client.beginOidcLogin({ source, redirectUri }))
  cli.surroundings.stderr.write(line('open this in a browser on this machine, and log in there:') + line(url))
  const query = await cli.surroundings.interrupt.during((signal) => browser.answer(signal))
  return withCode(cli, options, (code) => ask((client) => client.finishOidcLogin({ attempt, query, ...code })))
}

type Ask = <Result>(request: (client: ControlPlaneClient) => Promise<Result>) => Promise<Result>

async function byDevice(cli: Cli, ask: Ask, source: string, options: SourceLoginOptions): Promise<LoginAnswer> {
  const { attempt, verificationUri, userCode, intervalSeconds } = await ask((client) =>
    client.beginDeviceLogin({ source }),
  )
  cli.surroundings.stderr.write(
    line('open this in a browser on any machine, and type the code there:') +
      line(verificationUri) +
      line(`code: ${userCode}`),
  )
  return cli.surroundings.interrupt.during(async (signal) => {
    let waitSeconds = intervalSeconds
    for (;;) {
      await sleep(waitSeconds * 1000, undefined, { signal }).catch(() => {
        throw new CliError('interrupted', 'the login was given up')
      })
      const state = await withCode(cli, options, (code) =>
        ask((client) => client.finishDeviceLogin({ attempt, ...code })),
      )
      if (state.login !== null) return state.login
      waitSeconds = state.retryAfterSeconds
    }
  })
}

/** Finishes, with the code of a second factor where one is given or asked for. */
async function withCode<Result>(
  cli: Cli,
  { codeFile }: SourceLoginOptions,
  finish: (code: { readonly code?: string }) => Promise<Result>,
): Promise<Result> {
  const given = codeFile === undefined ? undefined : await getCode(codeFile, cli.surroundings)
  try {
    return await finish(given === undefined ? {} : { code: given })
  } catch (error) {
    if (given === undefined && needsCode(error)) {
      return finish({ code: await getCode(undefined, cli.surroundings) })
    }
    if (!isRefusedLogin(error)) throw error
    throw new CliError('not-logged-in', error.message, { next: 'run the command again', cause: error })
  }
}
