import { isPrivilege, privilegeMeanings, privileges } from '@cryptvisor/control-plane-api'
import { texts } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { table } from '../table.ts'

const nameWidth = Math.max(...privileges.map((name) => name.length))

/** What `role change` is told. */
interface RoleChange {
  readonly privilege?: readonly string[]
  readonly add?: readonly string[]
  readonly remove?: readonly string[]
}

/** `role`: named sets of privileges. */
export function addRole(program: CliCommand, cli: Cli): void {
  const role = program.command('role').description('roles: named sets of privileges')
  role
    .command('list')
    .description('list the roles with the number of their privileges')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.roles()).roles,
        (roles) =>
          table(
            ['NAME', 'SYSTEM', 'PRIVILEGES'],
            roles.map(({ name, system, privileges: { length } }) => [name, system ? 'yes' : 'no', length]),
          ),
      ),
    )
  role
    .command('show')
    .description('show the privileges of a role, each with what it is for')
    .argument('<name>', 'the role')
    .action((name: string) =>
      cli.showAnswer(
        async (client) => {
          const found = (await client.roles()).roles.find((each) => each.name === name)
          if (found !== undefined) return found
          throw new CliError('not-found', `there is no role ${name}`, {
            next: 'see what there is: cryptvisor role list',
          })
        },
        (found) =>
          table(
            ['PRIVILEGE', 'FOR'],
            found.privileges.map((each) => [each, isPrivilege(each) ? privilegeMeanings[each] : null]),
          ),
      ),
    )
  role
    .command('add')
    .description('make a role')
    .argument('<name>', 'its name')
    .requiredOption('--privilege <name>', 'a privilege; give the option once for each', texts)
    .section(
      'Privileges',
      privileges.map((name) => `${name.padEnd(nameWidth)}  ${privilegeMeanings[name]}`),
    )
    .examples('role add Operator --privilege System.Read --privilege Global.CancelTask')
    .action((name: string, options: { readonly privilege: readonly string[] }) =>
      cli.showAnswer(
        (client) => client.createRole({ name, privileges: [...options.privilege] }),
        (made) => line(`made role ${made.name}`),
      ),
    )
  role
    .command('change')
    .description(
      'give a role other privileges, at once for everybody who has it on any object; those that are always there stay as they are',
    )
    .argument('<name>', 'its name')
    .option('--add <privilege>', 'gives this one, too; give the option once for each', texts)
    .option('--remove <privilege>', 'gives this one no more; give the option once for each', texts)
    .option('--privilege <name>', 'gives these and no others; give the option once for each', texts)
    .examples(
      'role change Operator --add VirtualMachine.Config.Settings --remove Global.CancelTask',
      'role change Operator --privilege System.Read --dry-run',
    )
    .action((name: string, options: RoleChange) =>
      cli.showAnswer(
        (client) => {
          const { privilege, add, remove } = options
          if (privilege === undefined && add === undefined && remove === undefined) {
            throw new CliError('usage', 'there is nothing to change', { next: 'give --add, --remove or --privilege' })
          }
          return client.changeRole(name, {
            ...(privilege === undefined ? {} : { privileges: [...privilege] }),
            ...(add === undefined ? {} : { add: [...add] }),
            ...(remove === undefined ? {} : { remove: [...remove] }),
          })
        },
        (changed) => line(`role ${changed.name} gives ${changed.privileges.join(', ')}`),
      ),
    )
  role
    .command('remove')
    .description('remove a role that nobody has on any object')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('role', name, (client) => client.deleteRole(name)))
}
