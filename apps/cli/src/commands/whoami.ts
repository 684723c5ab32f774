import type { Permission } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { objectText } from '../object-name.ts'
import { sheet } from '../table.ts'

/** `whoami`: the user of the session, with role and privileges. */
export function addWhoami(program: CliCommand, cli: Cli): void {
  program
    .command('whoami')
    .description('show who is logged in, with permissions, and privileges on the root')
    .action(() =>
      cli.showAnswer(
        (client) => client.me(),
        ({ name, source, groups, role, privileges, permissions }) =>
          sheet([
            ['user', name],
            ['logs in by', source ?? 'password'],
            ['groups', groups.join(', ')],
            ['role', role],
            ...permissions.map((each, index) => [index === 0 ? 'permissions' : '', permissionText(each)] as const),
            ...privileges.map((privilege, index) => [index === 0 ? 'on the root' : '', privilege] as const),
          ]),
      ),
    )
}

function permissionText({ object, to, role, propagate }: Permission): string {
  const through = to.kind === 'group' ? `, through group ${to.name}` : ''
  return `${role} on ${objectText(object)}${propagate ? '' : ' alone'}${through}`
}
