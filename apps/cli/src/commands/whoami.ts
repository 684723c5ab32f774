import type { Login, Permission } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { objectText } from '../object-name.ts'
import { formatTime } from '../quantity.ts'
import { sheet } from '../table.ts'

/** `whoami`: the user of the session, with role and privileges. */
export function addWhoami(program: CliCommand, cli: Cli): void {
  program
    .command('whoami')
    .description(
      'show who is logged in, by which source, in which groups, until when, with permissions, and privileges on the root',
    )
    .action(() =>
      cli.showAnswer(
        (client) => client.me(),
        ({ name, source, groups, secondFactor, login, role, privileges, permissions }) =>
          sheet([
            ['user', name],
            ['logs in by', source ?? 'password'],
            ['second factor', secondFactor ? 'yes' : 'no'],
            [login.kind === 'session' ? 'this session' : 'this API token', loginText(login)],
            ['groups', groups.join(', ')],
            ['role', role],
            ...permissions.map((each, index) => [index === 0 ? 'permissions' : '', permissionText(each)] as const),
            ...privileges.map((privilege, index) => [index === 0 ? 'on the root' : '', privilege] as const),
          ]),
      ),
    )
}

function loginText({ expiresAt, idleMinutes }: Login): string {
  if (expiresAt === null) return 'does not expire'
  const idle = idleMinutes === null ? '' : `, or when nobody uses it for ${idleMinutes} minutes`
  return `ends ${formatTime(expiresAt)}${idle}`
}

function permissionText({ object, to, role, propagate }: Permission): string {
  const through = to.kind === 'group' ? `, through group ${to.name}` : ''
  return `${role} on ${objectText(object)}${propagate ? '' : ' alone'}${through}`
}
