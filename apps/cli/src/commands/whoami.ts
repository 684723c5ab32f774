import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { sheet } from '../table.ts'

/** `whoami`: the user of the session, with role and privileges. */
export function addWhoami(program: CliCommand, cli: Cli): void {
  program
    .command('whoami')
    .description('show who is logged in, with role and privileges')
    .action(() =>
      cli.showAnswer(
        (client) => client.me(),
        ({ name, role, privileges }) =>
          sheet([
            ['user', name],
            ['role', role],
            ...privileges.map((privilege, index) => [index === 0 ? 'privileges' : '', privilege] as const),
          ]),
      ),
    )
}
