import type { ExposedKey, HostKeyChoice, StartedForHosts } from '@cryptvisor/control-plane-api'
import { Argument } from 'commander'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { table } from '../table.ts'

interface Waiting {
  readonly wait: boolean
}

interface KeyOptions extends Waiting {
  readonly keyProvider?: string
  readonly keyId?: string
}

interface LeavingOptions extends Waiting {
  readonly acceptExposure?: boolean
}

const noWait = ['--no-wait', 'do not wait until it is done'] as const
const exposure = [
  '--accept-exposure',
  'go on although the host cannot confirm that it forgot its keys; they are listed by «host exposed-keys» then',
] as const

/** `host crypto`, `host rekey`, and what takes a host out of its cluster. */
export function addHostCrypto(host: CliCommand, cli: Cli): void {
  const crypto = host.command('crypto').description('encryption of hosts: whether they are given keys')
  crypto
    .command('enable')
    .description(
      'make a host crypto-safe: it gets a host key and the keys of its cluster. A host on which encryption was disabled is enabled by this alone',
    )
    .argument('<host>', 'its name or ID')
    .option(
      '--key-id <id>',
      'the key that becomes its host key; on a host that has another one, as «host rekey» (default: a new key)',
    )
    .option('--key-provider <name>', 'who keeps that key, or makes one (default: the default provider)')
    .option(...noWait)
    .examples('host crypto enable host-b')
    .action((name: string, { wait, ...options }: KeyOptions) =>
      cli.runTask((client) => client.enableHostCrypto(name, choiceOf(options)), wait),
    )
  crypto
    .command('disable')
    .description(
      'disable encryption on a host: it forgets its keys and is given none any more. Refused while encrypted VMs are on it. Where it does not confirm that, it is pendingIncapable until it connects and does',
    )
    .argument('<host>', 'its name or ID')
    .option(...noWait)
    .examples('host crypto disable host-b')
    .action((name: string, { wait }: Waiting) => cli.runTask((client) => client.disableHostCrypto(name), wait))
  addRekey(host, cli)
  addLeaving(host, cli)
}

function addRekey(host: CliCommand, cli: Cli): void {
  host
    .command('rekey')
    .description(
      'give a host, or every host of a cluster, another host key. The old one stays until the new one is confirmed, and at its provider after that: core dumps that it sealed need it',
    )
    .argument('[host]', 'its name or ID')
    .option('--cluster <name>', 'every host of this cluster')
    .option('--key-id <id>', 'the key to take (default: a new one)')
    .option('--key-provider <name>', 'who keeps or makes it (default: the default provider)')
    .option(...noWait)
    .examples('host rekey host-b', 'host rekey --cluster production --key-provider new-kms')
    .action((name: string | undefined, options: KeyOptions & { readonly cluster?: string }) => {
      const { cluster, wait, ...key } = options
      if (name !== undefined && cluster === undefined) {
        return cli.runTask((client) => client.rekeyHost(name, choiceOf(key)), wait)
      }
      if (name === undefined && cluster !== undefined && key.keyId === undefined) {
        return rekeyAll(cli, cluster, key, wait)
      }
      throw new CliError('usage', 'name a host, or give --cluster (then without --key-id)', {
        next: 'see cryptvisor host rekey --help',
      })
    })
}

async function rekeyAll(cli: Cli, cluster: string, { keyProvider }: HostKeyChoice, wait: boolean): Promise<void> {
  const started = await cli.withClient(async (client) => {
    const answer = await client.rekeyHosts(cluster, keyProvider === undefined ? {} : { keyProvider })
    if (!wait) return answer
    const tasks = await cli.surroundings.interrupt.during(async (signal) => {
      const ended = []
      for (const task of answer.tasks) ended.push(await cli.waitFor(client, task, signal))
      return ended
    })
    return { ...answer, tasks }
  })
  cli.show(started, rekeyedTable)
}

function rekeyedTable({ tasks, skipped }: StartedForHosts): string {
  return table(
    ['HOST', 'OUTCOME', 'TASK'],
    [
      ...tasks.map(({ id, target, state }) => [target.name, state === 'success' ? 'rekeyed' : 'has started', id]),
      ...skipped.map(({ host, reason }) => [host, `left out: it ${reason}`, null]),
    ],
  )
}

function addLeaving(host: CliCommand, cli: Cli): void {
  host
    .command('move')
    .description(
      'move a host without VMs to another cluster: it forgets the keys of the old one, confirms that, and gets those of the new one with a new host key. Decrypt its core dumps before, while the old host key is at hand',
    )
    .argument('<host>', 'its name or ID')
    .requiredOption('--cluster <name>', 'where it goes')
    .option(...exposure)
    .option(...noWait)
    .examples('host move host-b --cluster test')
    .action((name: string, { cluster, acceptExposure, wait }: LeavingOptions & { readonly cluster: string }) =>
      cli.runTask((client) => client.moveHost(name, { cluster, ...accepted(acceptExposure) }), wait),
    )
  host
    .command('decommission')
    .description(
      'take a host without VMs out of service: it forgets all keys and confirms it, its certificate is revoked, and it stays in the list, marked, until «host remove». Decrypt its core dumps before',
    )
    .argument('<host>', 'its name or ID')
    .option(...exposure)
    .option(...noWait)
    .examples('host decommission host-b')
    .action((name: string, { acceptExposure, wait }: LeavingOptions) =>
      cli.runTask((client) => client.decommissionHost(name, accepted(acceptExposure)), wait),
    )
  host
    .command('exposed-keys')
    .description('list the keys that hosts which left did not confirm to have forgotten, and the VMs to rekey for that')
    .argument('[host]', 'only those of this host')
    .examples('host exposed-keys', 'host exposed-keys host-b --json')
    .action(async (name: string | undefined) => {
      const { keys } = await cli.withClient((client) => client.exposedKeys(name === undefined ? {} : { host: name }))
      cli.show(keys, exposedTable)
      const vms = [...new Set(keys.flatMap((key) => key.vms))]
      if (vms.length > 0)
        cli.hint(`rekey what they protect: ${vms.map((vm) => `cryptvisor vm rekey ${vm}`).join('; ')}`)
    })
}

function exposedTable(keys: readonly ExposedKey[]): string {
  if (keys.length === 0) return line('no key is exposed')
  return table(
    ['HOST', 'WAS', 'SINCE', 'KEPT IN ITS TPM UNTIL', 'PROVIDER', 'KEY ID', 'STILL USED BY'],
    keys.map(({ host, reason, exposedAt, keptUntil, provider, keyId, vms, inUse }) => [
      host,
      reason,
      formatTime(exposedAt),
      keptUntil === null ? null : formatTime(keptUntil),
      provider,
      keyId,
      vms.length > 0 ? vms.join(', ') : inUse ? 'a host or a detached disk' : 'nothing',
    ]),
  )
}

function choiceOf({ keyProvider, keyId }: HostKeyChoice): HostKeyChoice {
  return {
    ...(keyProvider === undefined ? {} : { keyProvider }),
    ...(keyId === undefined ? {} : { keyId }),
  }
}

function accepted(acceptExposure: boolean | undefined): { acceptExposure?: boolean } {
  return acceptExposure === undefined ? {} : { acceptExposure }
}

/** `cluster crypto-mode`. */
export function addCryptoMode(cluster: CliCommand, cli: Cli): void {
  cluster
    .command('crypto-mode')
    .description(
      'say when the hosts of a cluster are made crypto-safe: on-demand (by a task of somebody with Cryptographer.RegisterHost that needs it) or force-enable (as soon as they are connected)',
    )
    .argument('<name>', 'the cluster')
    .addArgument(new Argument('<mode>', 'when').choices(['on-demand', 'force-enable']))
    .examples('cluster crypto-mode production force-enable')
    .action(async (name: string, mode: 'on-demand' | 'force-enable') => {
      await cli.withClient((client) => client.setCryptoMode(name, { mode }))
      cli.show({ cluster: name, mode }, () => line(`cluster ${name}: ${mode}`))
    })
}
