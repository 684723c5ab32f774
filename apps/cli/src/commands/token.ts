import type { ApiToken } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'

/** `token`: API tokens, for scripts. */
export function addToken(program: CliCommand, cli: Cli): void {
  const token = program.command('token').description('API tokens of your own, for scripts: --token-file FILE')
  token
    .command('list')
    .description('list your API tokens, never their values')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.tokens()).tokens,
        (tokens) =>
          table(
            ['ID', 'NAME', 'USER', 'CREATED', 'EXPIRES', 'LAST USED'],
            tokens.map(({ id, name, user, createdAt, expiresAt, lastUsedAt }) => [
              id,
              name,
              user,
              formatTime(createdAt),
              expiresAt === null ? 'never' : formatTime(expiresAt),
              lastUsedAt === null ? 'never' : formatTime(lastUsedAt),
            ]),
          ),
      ),
    )
  token
    .command('add')
    .description('make an API token; standard output is the token alone, and it is shown this once')
    .argument('<name>', 'what it is for')
    .option('--valid-days <n>', 'how long it works', wholeNumber(1, 3650))
    .examples('token add backup --valid-days 90 | (umask 077; cat > token)')
    .action(async (name: string, { validDays }: { readonly validDays?: number }) => {
      const answer = await cli.withClient((client) =>
        client.createToken({ name, ...(validDays === undefined ? {} : { validDays }) }),
      )
      cli.show(answer, (made) => `${made.token}\n`)
      cli.hint('keep it in a file with mode 0600 and use it by --token-file FILE or CRYPTVISOR_TOKEN_FILE=FILE')
    })
  token
    .command('remove')
    .description('make an API token void at once')
    .argument('<token>', 'its ID or its name')
    .action((which: string) =>
      cli.remove('token', which, async (client) => {
        const { tokens } = await client.tokens()
        await client.deleteToken(chooseToken(tokens, which).id)
      }),
    )
}

/** The token with that ID, else the only one with that name. */
function chooseToken(tokens: readonly ApiToken[], which: string): ApiToken {
  const byName = tokens.filter(({ name }) => name === which)
  const chosen = tokens.find(({ id }) => id === which) ?? (byName.length === 1 ? byName[0] : undefined)
  if (chosen !== undefined) return chosen
  if (byName.length > 1) {
    throw new CliError('ambiguous', `${byName.length} tokens are called ${which}`, {
      next: 'give the ID of one: cryptvisor token list',
    })
  }
  throw new CliError('not-found', `there is no token ${which}`, { next: 'see what there is: cryptvisor token list' })
}
