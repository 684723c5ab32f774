import type { Grantee, ObjectName, Permission, PermissionCheck } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { objectForms, objectName, objectText } from '../object-name.ts'
import { line } from '../printable.ts'
import { table } from '../table.ts'

interface GranteeOptions {
  readonly user?: string
  readonly group?: string
}

const rules = [
  'The permission nearest to the object decides alone: one on a VM overrides one on its folder, that one',
  "on the root. On the same object a user's own permission overrides those of groups, and those of several",
  'groups unite. NoAccess takes away what would come from above. A VM lies in its folder; hosts and',
  'datastores lie in their cluster; where a VM runs gives nobody anything.',
]

/** `permission`: who has which role on which object. */
export function addPermission(program: CliCommand, cli: Cli): void {
  const permission = program
    .command('permission')
    .description('permissions: a role that a user or a group has on an object and what lies in it')
    .section('Rules', rules)
  addGranteeOptions(permission.command('list').description('list permissions on what you may see'))
    .option('--object <object>', 'only those on it', objectName)
    .section('Objects', [objectForms])
    .examples('permission list', 'permission list --user kim', 'permission list --object /Sales')
    .action((options: GranteeOptions & { readonly object?: ObjectName }) => {
      const { object, ...to } = options
      return cli.showAnswer(
        async (client) => (await client.permissions({ ...to, ...object })).permissions,
        permissionTable,
      )
    })
  addGranteeOptions(
    permission
      .command('set')
      .description('give a user or a group a role on an object, in place of the one that they had there')
      .argument('<object>', objectForms, objectName)
      .requiredOption('--role <name>', 'the role: see `role list`')
      .option('--no-propagate', 'on the object alone, not on what lies in it'),
  )
    .section('Rules', rules)
    .examples(
      'permission set / --user kim --role Admin',
      'permission set /Sales --group sales --role NoCryptoAdmin',
      'permission set vm:payroll --group operators --role NoAccess',
    )
    .action((object: ObjectName, options: GranteeOptions & { readonly role: string; readonly propagate: boolean }) => {
      const { role, propagate } = options
      return cli.showAnswer(
        (client) => client.setPermission({ object, to: granteeOf(options), role, propagate }),
        (made) => line(`${made.to.kind} ${made.to.name} has role ${made.role} on ${objectText(made.object)} now`),
      )
    })
  addGranteeOptions(
    permission
      .command('remove')
      .description('take away what a user or a group was given on an object; what comes from above counts again')
      .argument('<object>', objectForms, objectName),
  )
    .examples('permission remove /Sales --group sales')
    .action(async (object: ObjectName, options: GranteeOptions) => {
      const to = granteeOf(options)
      await cli.withClient((client) => client.removePermission({ object, to }))
      cli.show({ removed: { object, to } }, () =>
        line(`${to.kind} ${to.name} has nothing of its own on ${objectText(object)} now`),
      )
    })
  permission
    .command('check')
    .description('say whether a user has a privilege on an object, and which permission decides')
    .argument('<user>', 'the user')
    .argument('<privilege>', 'such as Cryptographer.Encrypt: see `role add --help`')
    .argument('<object>', objectForms, objectName)
    .examples('permission check kim Cryptographer.Decrypt vm:payroll')
    .action((user: string, privilege: string, { kind, name }: ObjectName) =>
      cli.showAnswer((client) => client.checkPermission({ user, privilege, kind, name }), checkText),
    )
}

function addGranteeOptions(command: CliCommand): CliCommand {
  return command
    .addOption(new Option('--user <name>', 'of a user').conflicts('group'))
    .addOption(new Option('--group <name>', 'of a group'))
}

function granteeOf({ user, group }: GranteeOptions): Grantee {
  if (user !== undefined) return { kind: 'user', name: user }
  if (group !== undefined) return { kind: 'group', name: group }
  throw new CliError('usage', '--user: is missing', { field: '--user', next: 'say whose: --user NAME or --group NAME' })
}

function permissionTable(permissions: readonly Permission[]): string {
  return table(
    ['OBJECT', 'USER OR GROUP', 'ROLE', 'PROPAGATES'],
    permissions.map(({ object, to, role, propagate }) => [
      objectText(object),
      `${to.kind} ${to.name}`,
      role,
      propagate ? 'yes' : 'no',
    ]),
  )
}

function checkText({ user, privilege, object, allowed, because }: PermissionCheck): string {
  const verdict = line(
    `${allowed ? 'yes' : 'no'}: ${user} ${allowed ? 'has' : 'lacks'} ${privilege} on ${objectText(object)}`,
  )
  if (because.length === 0)
    return verdict + line(`  no permission of ${user}, or of a group of theirs, is on it or above it`)
  const reasons = because.map(({ object: on, to, role, has }) =>
    line(`  role ${role} of ${to.kind} ${to.name} on ${objectText(on)} decides, and ${has ? 'has' : 'lacks'} it`),
  )
  return verdict + reasons.join('')
}
