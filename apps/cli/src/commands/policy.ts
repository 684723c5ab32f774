import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { table } from '../table.ts'

/** `policy`: storage policies. */
export function addPolicy(program: CliCommand, cli: Cli): void {
  const policy = program
    .command('policy')
    .description('storage policies: whether what they are applied to is encrypted')
  policy
    .command('list')
    .description('list the storage policies')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.policies()).policies,
        (policies) =>
          table(
            ['NAME', 'ENCRYPTION', 'THIN', 'DESCRIPTION'],
            policies.map(({ name, encryption, thin, description }) => [
              name,
              encryption ? 'yes' : 'no',
              thin ? 'yes' : 'no',
              description,
            ]),
          ),
      ),
    )
}
