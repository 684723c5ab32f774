import type { User } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { getPassword, type PasswordOptions } from '../password.ts'
import { addPasswordOptions } from '../password-options.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'
import { addUserPassword } from './user-password.ts'
import { addUserSessions } from './user-sessions.ts'
import { addUserTotp } from './user-totp.ts'

interface ChangeOptions extends PasswordOptions {
  readonly passwordPrompt?: boolean
  readonly role?: string
}

/** `user`: who may log in. */
export function addUser(program: CliCommand, cli: Cli): void {
  const user = program.command('user').description('users: who may log in, their roles and sessions')
  user
    .command('list')
    .description('list the users')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.users()).users,
        (users) =>
          table(
            ['NAME', 'SOURCE', 'ROLE', 'SECOND FACTOR', 'CREATED', 'LOCKED UNTIL'],
            users.map(({ name, source, role, createdAt, lockedUntil, secondFactor }) => [
              name,
              source,
              role,
              secondFactor ? 'yes' : 'no',
              formatTime(createdAt),
              lockedUntil === null ? null : cli.paint('red', formatTime(lockedUntil)),
            ]),
          ),
      ),
    )
  addPasswordOptions(
    user
      .command('add')
      .description('make a user; the password (at least 12 characters) is asked for, or read')
      .argument('<name>', 'the name to log in with')
      .option(
        '--role <name>',
        'what the user may do everywhere: a role of `role list` (default: nothing, see `permission`)',
      ),
  )
    .examples('user add kim --role ReadOnly', 'user add kim --role ReadOnly --password-stdin < password')
    .action(async (name: string, options: PasswordOptions & { readonly role?: string }) => {
      const password = await newPassword(cli, name, options)
      await cli.showAnswer(
        (client) =>
          client.createUser({ name, password, ...(options.role === undefined ? {} : { role: options.role }) }),
        (made: User) => line(`made user ${made.name} with ${made.role === null ? 'no role' : `the role ${made.role}`}`),
      )
    })
  addPasswordOptions(
    user
      .command('change')
      .description("change a user's role everywhere, or password")
      .argument('<name>', 'the user')
      .option('--role <name>', 'the new role'),
  )
    .addOption(new Option('--password-prompt', 'ask for the new password on the terminal'))
    .examples('user change kim --role Admin', 'user change kim --password-prompt')
    .action(async (name: string, options: ChangeOptions) => {
      const { role, passwordStdin, passwordFile, passwordPrompt } = options
      const withPassword = passwordStdin === true || passwordFile !== undefined || passwordPrompt === true
      if (role === undefined && !withPassword) {
        throw new CliError('usage', 'nothing to change was given', {
          next: 'give --role NAME, or --password-prompt, --password-stdin or --password-file FILE',
        })
      }
      const password = withPassword ? await newPassword(cli, name, options) : undefined
      await cli.showAnswer(
        (client) =>
          client.changeUser(name, {
            ...(role === undefined ? {} : { role }),
            ...(password === undefined ? {} : { password }),
          }),
        (changed: User) => line(`changed user ${changed.name}; the role is ${changed.role ?? 'none'}`),
      )
    })
  addUserPassword(user, cli)
  addUserSessions(user, cli)
  addUserTotp(user, cli)
  user
    .command('remove')
    .description('remove a user; sessions and tokens end at once')
    .argument('<name>', 'the user')
    .action((name: string) => cli.remove('user', name, (client) => client.deleteUser(name)))
}

function newPassword(cli: Cli, name: string, options: PasswordOptions): Promise<string> {
  return getPassword(options, cli.surroundings, { text: `New password of ${name}: `, isNew: true })
}
