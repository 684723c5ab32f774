import type { KeyProvider, KmipServerWish } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { type ServerAddress, serverAddresses } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { fingerprints, pinServers } from '../key-provider/trust-servers.ts'
import { providerSheet, providerTable, statusSheet } from '../key-provider/words.ts'
import { readKey, readPem } from '../pem-file.ts'
import { line } from '../printable.ts'
import { addProviderDefault } from './key-provider-default.ts'
import { addProviderMigration } from './key-provider-migrate.ts'
import { addNative, addNativeProvider } from './key-provider-native.ts'
import { addProviderServer } from './key-provider-server.ts'
import { addProviderTrust } from './key-provider-trust.ts'
import { addProviderKeyType } from './key-provider-type.ts'

interface AddOptions {
  readonly server?: readonly ServerAddress[]
  readonly native?: boolean
  readonly displayName?: string
  readonly serverCa?: string
  readonly acceptFingerprint?: readonly string[]
  readonly trustLater?: boolean
  readonly clientCert?: string
  readonly clientKey?: string
  readonly default?: boolean
}

/** `key-provider`: the key servers that make and keep KEKs. */
export function addKeyProvider(program: CliCommand, cli: Cli): void {
  const provider = program
    .command('key-provider')
    .description('key providers: where keys come from, KMIP key servers or the control plane itself (native)')
  provider
    .command('list')
    .description('list the key providers')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.keyProviders()).providers,
        (providers) => providerTable(providers, cli.paint),
      ),
    )
  provider
    .command('show')
    .description(
      'show a key provider in full: servers, certificates of both sides with their ends, what is missing, what to do next; asks no server',
    )
    .argument('<name>', 'its name')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.keyProvider(name),
        (detail) => providerSheet(detail, cli.paint),
      ),
    )
  provider
    .command('add')
    .description(
      'add a key provider: one or more KMIP servers that keep the same keys. Shows the certificate of each server and asks whether it is the right one; --accept-fingerprint and --server-ca answer that beforehand. The client certificate may come with it, or later by «key-provider trust»',
    )
    .argument('<name>', 'its name; it becomes part of every key record and never changes')
    .option('--native', 'without a key server: keys are derived here; makes no keys before «key-provider backup»')
    .option(
      '--server <host:port>',
      'a KMIP server; give the option once for each, in the order to try',
      serverAddresses,
    )
    .option('--display-name <text>', 'what people call it; this may change')
    .option('--server-ca <file>', "PEM: the CA of the servers' certificates; no fingerprint is asked about then")
    .option(
      '--accept-fingerprint <sha256>',
      "a server's certificate that is the right one; once for each",
      fingerprints,
    )
    .option(
      '--trust-later',
      'add it without trusting its servers yet: it gives no keys before «key-provider trust server»',
    )
    .option('--client-cert <file>', "PEM: the control plane's certificate, where the key server made one")
    .option('--client-key <file>', 'PEM: its private key; it is sent once and kept sealed')
    .option('--default', 'make it the default provider (the first one is so by itself); refused while it gives no keys')
    .examples(
      'key-provider add kms --server kms-1:5696 --server kms-2:5696',
      'key-provider add nkp --native',
      'key-provider add kms --server kms-1 --server-ca ca.pem --client-cert client.pem --client-key client.key --default',
    )
    .section('Next', [
      'without --client-cert the key server does not know the control plane yet: cryptvisor key-provider trust --help',
      'then see whether keys can be had:                                       cryptvisor key-provider status NAME',
    ])
    .action((name: string, options: AddOptions) => add(cli, name, options))
  provider
    .command('update')
    .description('change what people call a key provider; its name, which is part of every key, stays')
    .argument('<name>', 'its name')
    .requiredOption('--display-name <text>', 'what people call it; empty: its name')
    .examples('key-provider update kms --display-name "Vault in Zurich"')
    .action((name: string, { displayName }: { displayName: string }) =>
      cli.showAnswer(
        (client) => client.changeKeyProvider(name, { displayName: displayName === '' ? null : displayName }),
        (changed) => line(`key provider ${changed.name} is called ${changed.displayName ?? changed.name}`),
      ),
    )
  provider
    .command('status')
    .description(
      'try a key provider: make a key, read it back at every server, destroy it. Green: all is well; yellow: it works, and something wants attention; red: it does not work, and the exit code is 1',
    )
    .argument('[name]', 'its name (default: the default provider)')
    .action((name: string | undefined) => showStatus(cli, name))
  addProviderServer(provider, cli)
  addProviderTrust(provider, cli)
  addProviderDefault(provider, cli)
  addNativeProvider(provider, cli)
  addProviderKeyType(provider, cli)
  addProviderMigration(provider, cli)
  provider
    .command('remove')
    .description('forget a key provider that no VM and no host uses; its keys stay at the key server')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('key provider', name, (client) => client.deleteKeyProvider(name)))
}

async function showStatus(cli: Cli, name: string | undefined): Promise<void> {
  const status = await cli.withClient(async (client) =>
    client.keyProviderStatus(name ?? defaultOf((await client.keyProviders()).providers)),
  )
  cli.show(status, (each) => statusSheet(each, cli.paint))
  if (status.health !== 'red') return
  throw new CliError('check-failed', `no keys can be had of key provider ${status.name}`, {
    next: 'the cause and what to do stand above; docs/key-providers.md, «Health», explains each',
  })
}

async function add(cli: Cli, name: string, options: AddOptions): Promise<void> {
  const { native, server, ...others } = options
  if (native === true) {
    const [other] = Object.keys({ ...(server === undefined ? {} : { server }), ...others })
    if (other === undefined) return addNative(cli, name)
    throw new CliError('usage', '--native: goes with no other option, since there is no key server', {
      field: '--native',
      next: 'see cryptvisor key-provider add --help',
    })
  }
  if (server === undefined) {
    throw new CliError('usage', '--server: is missing', {
      field: '--server',
      next: 'name the key servers, or give --native for a provider without any (see key-provider add --help)',
    })
  }
  if ((options.clientCert === undefined) !== (options.clientKey === undefined)) {
    throw new CliError('usage', '--client-cert and --client-key come together', {
      next: 'give both, or neither and set the trust up afterwards: cryptvisor key-provider trust --help',
    })
  }
  const serverCa = options.serverCa === undefined ? undefined : await readPem('--server-ca', options.serverCa)
  const clientCertificate =
    options.clientCert === undefined ? undefined : await readPem('--client-cert', options.clientCert)
  using clientKey = options.clientKey === undefined ? null : await readKey('--client-key', options.clientKey)
  const made = await cli.withClient(async (client) => {
    const servers = await trusted(cli, client, server, options)
    if (clientKey !== null) await client.uploadClientKey(name, clientKey)
    return client.addKeyProvider({
      name,
      servers,
      ...(options.displayName === undefined ? {} : { displayName: options.displayName }),
      ...(serverCa === undefined ? {} : { serverCa }),
      ...(clientCertificate === undefined ? {} : { clientCertificate }),
      ...(options.default === true ? { makeDefault: true } : {}),
    })
  })
  cli.show(made, () => line(`added key provider ${made.name}${made.isDefault ? ', the default' : ''}`))
  cli.hint(made.missing ?? `see whether keys can be had: cryptvisor key-provider status ${made.name}`)
}

/** The servers as they are to be added: pinned, unless a CA or later trust was asked for. */
async function trusted(
  cli: Cli,
  client: ControlPlaneClient,
  server: readonly ServerAddress[],
  options: AddOptions,
): Promise<KmipServerWish[]> {
  const { serverCa, trustLater, acceptFingerprint = [] } = options
  if (trustLater === true || (serverCa !== undefined && acceptFingerprint.length === 0)) return [...server]
  return pinServers(cli, client, server, acceptFingerprint)
}

function defaultOf(providers: readonly KeyProvider[]): string {
  const found = providers.find(({ isDefault }) => isDefault)
  if (found !== undefined) return found.name
  throw new CliError('not-found', 'there is no default key provider', {
    next: 'name one of `cryptvisor key-provider list`, or add one: cryptvisor key-provider add --help',
  })
}
