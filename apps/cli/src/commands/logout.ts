import { RestClientError } from '@cryptvisor/rest/client'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { saveConfig } from '../config-file.ts'
import { requireToken, resolvePlace } from '../connection.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'

/** `logout`: ends the saved session, here and at the control plane; URL and CA stay known. */
export function addLogout(program: CliCommand, cli: Cli): void {
  program
    .command('logout')
    .description('end the session that `login` started; URL and CA stay in the configuration file')
    .action(async () => {
      const place = await resolvePlace(cli.options, cli.surroundings)
      const token = requireToken({ ...place, token: place.config?.token ?? null })
      const { url, ca, config, configPath } = place
      let failure: unknown
      try {
        await cli.withClientOf(place, token, (client) => client.logout())
      } catch (error) {
        // 401: the session had ended already.
        if (!(error instanceof RestClientError && error.status === 401)) failure = error
      }
      const { user, expiresAt } = config ?? {}
      await saveConfig(configPath, { url, ca: config?.ca ?? ca, ...(user === undefined ? {} : { user }) })
      if (failure !== undefined) {
        throw new CliError('unreachable', `${url} could not be told that the session has ended; it is forgotten here`, {
          next: `the session ends by itself${expiresAt === undefined ? '' : ` at ${formatTime(expiresAt)}`}`,
          cause: failure,
        })
      }
      cli.show({ url, loggedOut: true }, () => line(`logged out of ${url}`))
    })
}
