import type { ProviderDefaults, SetDefaultProvider } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { table } from '../table.ts'

interface EntityOptions {
  readonly cluster?: string
  readonly folder?: string
}

/** `key-provider default`: who is asked for keys where nobody names a provider. */
export function addProviderDefault(provider: CliCommand, cli: Cli): void {
  const group = provider
    .command('default')
    .description(
      'the key providers that new keys come from where neither the command nor the storage policy names one. The nearest default wins: the VM’s folder, the folders around it, its cluster, the system',
    )
  group
    .command('set', { isDefault: true })
    .description(
      'make a key provider the default of the system, a cluster or a folder; refused while its keys cannot be had',
    )
    .argument('<name>', 'the key provider')
    .option('--cluster <name>', 'of this cluster alone')
    .option('--folder <path>', 'of this folder and those in it alone')
    .option('--force', 'also when its keys cannot be had now')
    .examples('key-provider default set kms', 'key-provider default set kms-b --cluster branch')
    .action((name: string, options: EntityOptions & { force?: boolean }) => {
      const entity = entityOf(options)
      const body = { ...(entity === undefined ? {} : { entity }), ...(options.force === true ? { force: true } : {}) }
      return cli.showAnswer(
        (client) => client.setDefaultKeyProvider(name, body),
        (changed) =>
          line(
            entity === undefined
              ? `${changed.name} is the default key provider`
              : `${changed.name} is the default key provider of ${entity.kind} ${entity.name}`,
          ),
      )
    })
  group
    .command('clear')
    .description('leave a cluster, a folder or the system without a default of its own')
    .option('--cluster <name>', 'of this cluster')
    .option('--folder <path>', 'of this folder')
    .action(async (options: EntityOptions) => {
      const entity = entityOf(options)
      await cli.withClient((client) => client.clearDefaultKeyProvider(entity === undefined ? {} : { entity }))
      const what = entity === undefined ? 'the system' : `${entity.kind} ${entity.name}`
      cli.show({ cleared: what }, () => line(`${what} has no default key provider of its own any more`))
    })
  group
    .command('show')
    .description('show all defaults, or the key provider that a new key of a VM would come from, and why')
    .option('--for <vm>', 'the VM')
    .action(async (options: { for?: string }) => {
      const vm = options.for
      if (vm === undefined) {
        return cli.showAnswer((client) => client.keyProviderDefaults(), defaultsTable)
      }
      return cli.showAnswer(
        (client) => client.keyProviderFor(vm),
        (choice) => line(`${choice.provider}: ${choice.text}`),
      )
    })
}

function entityOf({ cluster, folder }: EntityOptions): SetDefaultProvider['entity'] {
  if (cluster !== undefined && folder !== undefined) {
    throw new CliError('usage', '--cluster and --folder: name one of them')
  }
  if (cluster !== undefined) return { kind: 'cluster', name: cluster }
  return folder === undefined ? undefined : { kind: 'folder', name: folder }
}

function defaultsTable({ system, entities }: ProviderDefaults): string {
  return table(
    ['OF', 'NAME', 'KEY PROVIDER'],
    [
      ...(system === null ? [] : [['system', null, system]]),
      ...entities.map(({ kind, name, provider }) => [kind, name, provider]),
    ],
  )
}
