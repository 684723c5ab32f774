import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'

/** `user sessions`, `user end-session` and `user end-sessions`: logins that have not ended. */
export function addUserSessions(user: CliCommand, cli: Cli): void {
  user
    .command('sessions')
    .description("list your sessions; everybody's with Sessions.TerminateSession")
    .argument('[user]', 'only those of this user')
    .action((name: string | undefined) =>
      cli.showAnswer(
        async (client) => (await client.sessions()).sessions.filter((each) => name === undefined || each.user === name),
        (sessions) =>
          table(
            ['ID', 'USER', 'FROM', 'SINCE', 'LAST USED', 'UNTIL', ''],
            sessions.map((each) => [
              each.id,
              each.user,
              each.address,
              formatTime(each.createdAt),
              each.lastUsedAt === null ? 'never' : formatTime(each.lastUsedAt),
              each.expiresAt === null ? 'never' : formatTime(each.expiresAt),
              each.current ? 'this one' : ' ',
            ]),
          ),
      ),
    )
  user
    .command('end-session')
    .description("end a session of yours; another user's with Sessions.TerminateSession")
    .argument('<id>', 'its ID, as `user sessions` shows it')
    .action(async (id: string) => {
      await cli.withClient((client) => client.endSession(id))
      cli.show({ ended: id }, () => line(`ended session ${id}`))
    })
  user
    .command('end-sessions')
    .description('end all sessions of a user; their API tokens stay (see `token list`)')
    .argument('<user>', 'the user')
    .examples('user end-sessions kim')
    .action(async (name: string) => {
      await cli.withClient((client) => client.endSessions(name))
      cli.show({ ended: name }, () => line(`ended all sessions of ${name}`))
    })
}
