import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { table } from '../table.ts'

/** `group`: sets of users, for permissions. */
export function addGroup(program: CliCommand, cli: Cli): void {
  const group = program.command('group').description('groups: sets of users that permissions are given to')
  group
    .command('list')
    .description('list the groups with their members')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.groups()).groups,
        (groups) =>
          table(
            ['NAME', 'MEMBERS', 'DESCRIPTION'],
            groups.map(({ name, members, description }) => [name, members.join(', '), description]),
          ),
      ),
    )
  group
    .command('add')
    .description('make an empty group')
    .argument('<name>', 'its name')
    .option('--description <text>', 'what it is for')
    .examples("group add operators --description 'the night shift'")
    .action((name: string, { description }: { readonly description?: string }) =>
      cli.showAnswer(
        (client) => client.createGroup({ name, ...(description === undefined ? {} : { description }) }),
        (made) => line(`made group ${made.name}`),
      ),
    )
  group
    .command('add-member')
    .description("put a user into a group, whose permissions are the user's from then on, also in open sessions")
    .argument('<group>', 'the group')
    .argument('<user>', 'the user')
    .examples('group add-member operators kim')
    .action(async (name: string, user: string) => {
      await cli.withClient((client) => client.addMember(name, user))
      cli.show({ group: name, added: user }, () => line(`${user} is in group ${name} now`))
    })
  group
    .command('remove-member')
    .description('take a user out of a group')
    .argument('<group>', 'the group')
    .argument('<user>', 'the user')
    .action(async (name: string, user: string) => {
      await cli.withClient((client) => client.removeMember(name, user))
      cli.show({ group: name, removed: user }, () => line(`${user} is in group ${name} no more`))
    })
  group
    .command('remove')
    .description('remove a group with its permissions; its members stay users')
    .argument('<group>', 'the group')
    .action((name: string) => cli.remove('group', name, (client) => client.deleteGroup(name)))
}
