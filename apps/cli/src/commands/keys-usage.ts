import type { KeyOrphan, RetiredKey } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { namedKey } from '../named-key.ts'
import type { Paint } from '../paint.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'
import { keyTree, ownerTree } from '../usage-tree.ts'

/** `keys users|orphans|retired`: who needs which keys, and which nobody needs. */
export function addKeysUsage(keys: CliCommand, cli: Cli): void {
  keys
    .command('users')
    .description('show everything that cannot be opened without a key: VM Homes, disks, detached disks, hosts, tasks')
    .argument('[key]', 'PROVIDER/KEY-ID, a key ID, or its provider when the key ID follows (default: all keys)')
    .argument('[key-id]', 'its key ID')
    .option('--provider <name>', 'all keys of this provider')
    .examples('keys users kms/0198f2c4-…', 'keys users --provider kms --json')
    .section('With --json', ['A graph: {"nodes": […], "edges": […]}; an edge «needs» leads to a key, «has» to a part.'])
    .action((first: string | undefined, second: string | undefined, { provider }: { readonly provider?: string }) =>
      cli.showAnswer(async (client) => {
        if (first === undefined) return client.keyUsage(provider === undefined ? {} : { provider })
        return client.keyUsage({ ...(await namedKey(client, first, second)) })
      }, keyTree),
    )
  keys
    .command('orphans')
    .description(
      'find keys that a provider has and nothing here knows, and keys in use here that their provider does not have; with age, labels and why',
    )
    .option('--provider <name>', 'of this provider only (default: of all)')
    .section('Kinds', [
      'unanswered  on record nowhere and for nothing that it names: made for us and never answered, or somebody else’s: a second user decides',
      'returned    was destroyed, and is there again',
      'unrecorded  says that it is for a VM or host that is here: look before you destroy it',
      'foreign     says that it is for something else: another control plane’s, or of a database that was lost',
      'missing     in use here, and gone at the provider: restore it there',
    ])
    .action(({ provider }: { readonly provider?: string }) =>
      cli.showAnswer(
        (client) => client.keyOrphans(provider === undefined ? {} : { provider }),
        ({ orphans, failures }) =>
          (orphans.length === 0 ? line('no orphans') : orphanTable(orphans, cli.paint)) +
          failures.map(({ provider: name, problem }) => line(`${name} could not be asked: ${problem}`)).join(''),
      ),
    )
  keys
    .command('retired')
    .description(
      'list the keys that wrapped something once and wrap nothing now (after a rekey, a decryption or a deletion), the longest retired first; old backups of disks may need them',
    )
    .option('--provider <name>', 'of this provider only')
    .option('--older-than <days>', 'retired since at least so many days', wholeNumber(0, 36_500))
    .examples('keys retired --older-than 90', 'keys destroy --retired --older-than 90')
    .action((options: { readonly provider?: string; readonly olderThan?: number }) => {
      const { provider, olderThan } = options
      const query = {
        ...(provider === undefined ? {} : { provider }),
        ...(olderThan === undefined ? {} : { olderThanDays: olderThan }),
      }
      return cli.showAnswer(async (client) => (await client.retiredKeys(query)).keys, retiredTable)
    })
}

/** `vm keys`: which keys a VM needs. */
export function addVmKeys(vm: CliCommand, cli: Cli): void {
  vm.command('keys')
    .description('show which keys VM Home and each disk of a VM need, and which other VMs share them')
    .argument('<vm>', 'its name or ID')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.keyUsage({ vm: name }),
        (graph) => ownerTree(graph, name),
      ),
    )
}

/** `host keys`: which keys a host needs. */
export function addHostKeys(host: CliCommand, cli: Cli): void {
  host
    .command('keys')
    .description('show the host key of a host, and which keys the VMs on it need')
    .argument('<name>', 'its name')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.keyUsage({ host: name }),
        (graph) => ownerTree(graph, name),
      ),
    )
}

function orphanTable(orphans: readonly KeyOrphan[], paint: Paint): string {
  return table(
    ['KEY', 'KIND', 'STATE', 'AGE', 'LABELS', 'WHY'],
    orphans.map(({ provider, keyId, kind, state, ageDays, labels, why }) => [
      `${provider}/${keyId}`,
      paint(kind === 'missing' ? 'red' : 'yellow', kind),
      state,
      ageDays === null ? null : `${ageDays} d`,
      Object.entries(labels)
        .map(([name, value]) => `${name}=${value}`)
        .join(', '),
      why,
    ]),
  )
}

function retiredTable(keys: readonly RetiredKey[]): string {
  return table(
    ['KEY', 'OF', 'MADE', 'RETIRED', 'DAYS', 'DESTROYED AT'],
    keys.map(({ provider, keyId, owner, createdAt, retiredAt, retiredDays, destroyAt }) => [
      `${provider}/${keyId}`,
      `${ownerWords[owner.kind]} ${owner.name}`,
      formatTime(createdAt),
      retiredAt === null ? null : formatTime(retiredAt),
      retiredDays,
      destroyAt === null ? null : formatTime(destroyAt),
    ]),
  )
}

const ownerWords = { vm: 'VM', host: 'host', 'key-provider': 'key provider' } as const
