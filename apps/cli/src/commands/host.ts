import type { Host, HostKeyPersistence } from '@cryptvisor/control-plane-api'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { keyName } from '../key-name.ts'
import type { Paint } from '../paint.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'
import { addHostCertificate } from './certificate.ts'
import { addHostCheck } from './host-check.ts'
import { addHostCrypto } from './host-crypto.ts'
import { addHostDumps } from './host-dumps.ts'
import { addHostKeyPersistence, persistenceRows } from './host-key-persistence.ts'
import { addHostKeys } from './keys-usage.ts'
import { addHostBundles } from './support-bundle.ts'

/** `host`: the machines that run VMs. */
export function addHost(program: CliCommand, cli: Cli): void {
  const host = program.command('host').description('hosts: the machines that run VMs')
  host
    .command('list')
    .description(
      'list the hosts with connection, number of VMs that run there, crypto state, and how many of the keys that they need they lack; «host show» says why',
    )
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.hosts()).hosts,
        (hosts) =>
          table(
            ['NAME', 'CLUSTER', 'CONNECTION', 'RUNNING', 'CRYPTO', 'LACKS', 'HOST KEY', 'LAST SEEN'],
            hosts.map((each) => [
              each.name,
              each.cluster,
              connectionOf(each, cli.paint),
              each.runningCount,
              cryptoOf(each, cli.paint),
              lacksOf(each, cli.paint),
              keyName(each.hostKey),
              each.lastSeenAt === null ? null : formatTime(each.lastSeenAt),
            ]),
          ),
      ),
    )
  host
    .command('show')
    .description(
      'show one host: its state, whether it keeps keys across restarts, its TPM, and how its memory is guarded',
    )
    .argument('<name>', 'its name')
    .action((name: string) =>
      cli.showAnswer(
        async (client) => ({ ...(await client.host(name)), keyPersistence: await client.keyPersistence(name) }),
        (each) => hostSheet(each, cli.paint),
      ),
    )
  host
    .command('enroll')
    .description('make a one-time token that lets a new host join a cluster; standard output is the token alone')
    .argument('<name>', 'what the host will be called')
    .requiredOption('--cluster <name>', 'the cluster that it joins; it gets all keys of that cluster')
    .examples(
      'host enroll host-c --cluster production | ssh host-c host-agent enroll --dir /var/lib/cryptvisor --url-host host-c',
    )
    .action(async (name: string, { cluster }: { cluster: string }) => {
      const answer = await cli.withClient((client) => client.createEnrolmentToken({ name, cluster }))
      cli.show(answer, ({ token }) => `${token}\n`)
      cli.hint(`the token works once, until ${formatTime(answer.expiresAt)}; on ${name} give it by standard input to:`)
      cli.hint(`  host-agent enroll --dir DIR --url-host ${name}   (the address by which the control plane reaches it)`)
    })
  addHostKeys(host, cli)
  host
    .command('remove')
    .description('remove a host that has no VMs; its identity is revoked at once')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('host', name, (client) => client.deleteHost(name)))
  host
    .command('stop-machine')
    .description(
      'end a VM on a host that is not to run it, at once: another host has the VM, or the inventory does not know it. «host show» lists such VMs; for others there is «vm power-off»',
    )
    .argument('<host>', 'the host')
    .argument('<vm>', 'the ID of the VM, or its name')
    .examples('host stop-machine host-a 0198f2c4-…')
    .action(async (name: string, vm: string) => {
      await cli.withClient((client) => client.stopStray(name, vm))
      cli.show({ stopped: vm }, () => line(`VM ${vm} was ended on host ${name}`))
    })
  addHostCrypto(host, cli)
  addHostDumps(host, cli)
  addHostKeyPersistence(host, cli)
  addHostBundles(host, cli)
  addHostCheck(host, cli)
  addHostCertificate(host, cli)
}

function hostSheet(host: Host & { readonly keyPersistence: HostKeyPersistence }, paint: Paint): string {
  return sheet([
    ['name', host.name],
    ['ID', host.id],
    ['cluster', host.cluster],
    ['connection', connectionOf(host, paint)],
    ['last seen', host.lastSeenAt === null ? null : formatTime(host.lastSeenAt)],
    ['VMs that run', host.runningCount],
    ...host.strayMachines.map((id) => ['not its to run', paint('red', `VM ${id}`)] as const),
    ['crypto', cryptoOf(host, paint)],
    ...(host.cryptoReason === null ? [] : [['why', host.cryptoReason] as const]),
    ...(host.keyGap === null ? [] : [['lacks keys since', formatTime(host.keyGap.since)] as const]),
    ['host key', keyName(host.hostKey)],
    ...(host.cryptoDisabledAt === null ? [] : [['encryption disabled', formatTime(host.cryptoDisabledAt)] as const]),
    ...(host.decommissionedAt === null ? [] : [['decommissioned', formatTime(host.decommissionedAt)] as const]),
    ['URL', host.url],
    ['version', host.version],
    ['hardware UUID', host.hardwareUuid],
    ['certificate until', formatTime(host.certificateExpiresAt)],
    ...persistenceRows(host.keyPersistence),
  ])
}

function connectionOf({ connection }: Host, paint: Paint) {
  return paint(connection === 'connected' ? 'green' : 'red', connection)
}

function lacksOf({ keyGap, connection }: Host, paint: Paint) {
  if (connection === 'disconnected') return '?'
  return keyGap === null ? null : paint('red', `${keyGap.missingCount} of ${keyGap.neededCount} keys`)
}

function cryptoOf({ cryptoState }: Host, paint: Paint) {
  return paint(cryptoState === 'safe' ? 'green' : cryptoState === 'prepared' ? 'yellow' : 'red', cryptoState)
}
