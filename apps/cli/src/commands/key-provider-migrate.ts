import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { table } from '../table.ts'

interface MigrateOptions {
  readonly deep?: boolean
  readonly atOnce?: number
  readonly perHost?: number
  readonly wait: boolean
}

/** `key-provider references` and `migrate`: who needs a provider, and moving everything to another one. */
export function addProviderMigration(provider: CliCommand, cli: Cli): void {
  provider
    .command('references')
    .description('list all that needs a key provider: VMs, disks, hosts, policies, defaults, campaigns')
    .argument('<name>', 'its name')
    .action((name: string) =>
      cli.showAnswer(
        async (client) => (await client.providerReferences(name)).references,
        (references) =>
          references.length === 0
            ? line(`nothing needs key provider ${name}: «key-provider remove ${name}» forgets it`)
            : table(
                ['KIND', 'NAME', 'WHAT'],
                references.map(({ kind, name: what, part }) => [kind, what, part]),
              ),
      ),
    )
  provider
    .command('migrate')
    .description(
      'move everything to another key provider: defaults and policies, VMs by a rekey campaign, host keys; works while the old one is away, as long as the hosts hold its keys',
    )
    .argument('<from>', 'the key provider that is to be needed by nothing afterwards')
    .argument('<to>', 'the key provider that takes its place')
    .option('--deep', 'new data keys too: all data is encrypted anew')
    .option('--at-once <n>', 'at most so many VMs at once (8)', wholeNumber(1, 256))
    .option('--per-host <n>', 'at most so many at once on one host (2)', wholeNumber(1, 64))
    .option('--no-wait', 'do not wait until it is done')
    .examples(
      'key-provider references old-kms',
      'key-provider migrate old-kms new-kms --dry-run',
      'key-provider migrate old-kms new-kms',
      'key-provider remove old-kms',
    )
    .action((from: string, to: string, { deep, atOnce, perHost, wait }: MigrateOptions) =>
      cli.runTask(
        (client) =>
          client.migrateProvider(from, {
            to,
            ...(deep === true ? { depth: 'deep' as const } : {}),
            ...(atOnce === undefined ? {} : { atOnceMax: atOnce }),
            ...(perHost === undefined ? {} : { perHostMax: perHost }),
          }),
        wait,
      ),
    )
}
