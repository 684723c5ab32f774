import { readFile, stat } from 'node:fs/promises'
import { clientKeySizeMax, type Health, type KeyProvider, type KeyProviderStatus } from '@cryptvisor/control-plane-api'
import { Secret } from '@cryptvisor/secret'
import { type ServerAddress, serverAddresses } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import type { Paint } from '../paint.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

interface AddOptions {
  readonly server: readonly ServerAddress[]
  readonly serverCa: string
  readonly clientCert: string
  readonly clientKey: string
  readonly default?: boolean
}

/** PEM files are small; anything larger is another file. */
const pemSizeMax = 65_536

/** `key-provider`: the key servers that make and keep KEKs. */
export function addKeyProvider(program: CliCommand, cli: Cli): void {
  const provider = program
    .command('key-provider')
    .description('key providers: the KMIP key servers that make and keep keys')
  provider
    .command('list')
    .description('list the key providers')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.keyProviders()).providers,
        (providers) => providerTable(providers),
      ),
    )
  provider
    .command('add')
    .description('add a key provider: one or more KMIP servers that keep the same keys')
    .argument('<name>', 'its name; it becomes part of every key record and never changes')
    .requiredOption(
      '--server <host:port>',
      'a KMIP server; give the option once for each, in the order to try',
      serverAddresses,
    )
    .requiredOption('--server-ca <file>', "PEM: the CA of the servers' certificates")
    .requiredOption('--client-cert <file>', "PEM: the control plane's certificate at the key server")
    .requiredOption('--client-key <file>', 'PEM: its private key; it is sent once and kept sealed')
    .option('--default', 'make it the default provider (the first one is so by itself)')
    .examples(
      'key-provider add kms --server kms-1:5696 --server kms-2:5696 --server-ca ca.pem --client-cert client.pem --client-key client.key --default',
    )
    .action(async (name: string, options: AddOptions) => {
      const serverCa = await readPem('--server-ca', options.serverCa)
      const clientCertificate = await readPem('--client-cert', options.clientCert)
      using clientKey = await readKey('--client-key', options.clientKey)
      await cli.showAnswer(
        async (client) => {
          await client.uploadClientKey(name, clientKey)
          return client.addKeyProvider({
            name,
            servers: [...options.server],
            serverCa,
            clientCertificate,
            ...(options.default === true ? { makeDefault: true } : {}),
          })
        },
        (made) => line(`added key provider ${made.name}${made.isDefault ? ', the default' : ''}`),
      )
    })
  provider
    .command('status')
    .description('try a key provider: make a key, read it back, destroy it')
    .argument('[name]', 'its name (default: the default provider)')
    .action((name: string | undefined) =>
      cli.showAnswer(
        async (client) => client.keyProviderStatus(name ?? defaultOf((await client.keyProviders()).providers)),
        (status) => statusSheet(status, cli.paint),
      ),
    )
  provider
    .command('default')
    .description('make a key provider the default: new keys come from it')
    .argument('<name>', 'its name')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.setDefaultKeyProvider(name),
        (changed) => line(`${changed.name} is the default key provider`),
      ),
    )
  provider
    .command('remove')
    .description('forget a key provider that no VM and no host uses; its keys stay at the key server')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('key provider', name, (client) => client.deleteKeyProvider(name)))
}

function providerTable(providers: readonly KeyProvider[]): string {
  return table(
    ['NAME', 'KIND', 'DEFAULT', 'SERVERS', 'CERTIFICATE UNTIL'],
    providers.map(({ name, kind, isDefault, servers, clientCertificateExpiresAt }) => [
      name,
      kind,
      isDefault ? 'yes' : 'no',
      servers.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(', '),
      clientCertificateExpiresAt === null ? null : formatTime(clientCertificateExpiresAt),
    ]),
  )
}

function statusSheet({ name, health, text, servers }: KeyProviderStatus, paint: Paint): string {
  const colour = (value: Health) => paint(value, value)
  return `${sheet([
    ['provider', name],
    ['health', colour(health)],
    ['', text],
  ])}\n${table(
    ['SERVER', 'HEALTH', 'KMIP', 'VENDOR', 'ROUND TRIP', 'TEXT'],
    servers.map((server) => [
      server.address,
      colour(server.health),
      server.protocolVersion,
      server.vendor,
      server.roundTripMs === null ? null : `${Math.round(server.roundTripMs)} ms`,
      server.text,
    ]),
  )}`
}

function defaultOf(providers: readonly KeyProvider[]): string {
  const found = providers.find(({ isDefault }) => isDefault)
  if (found !== undefined) return found.name
  throw new CliError('not-found', 'there is no default key provider', {
    next: 'name one of `cryptvisor key-provider list`, or add one: cryptvisor key-provider add --help',
  })
}

async function readPem(option: string, path: string): Promise<string> {
  return (await readPemFile(option, path)).toString('utf8')
}

/** Reads a private key; no string is made of it. */
async function readKey(option: string, path: string): Promise<Secret> {
  return Secret.from(await readPemFile(option, path, clientKeySizeMax))
}

/** Reads a PEM file. Errors name the option and the file, never what is in it. */
async function readPemFile(option: string, path: string, sizeMax: number = pemSizeMax): Promise<Buffer> {
  let bytes: Buffer
  try {
    const { size } = await stat(path)
    if (size > sizeMax)
      throw new CliError('bad-file', `${option}: ${path} is too large for a PEM file`, { field: option })
    bytes = await readFile(path)
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw new CliError('bad-file', `${option}: ${path} cannot be read: ${code}`, { field: option, cause })
  }
  if (bytes.includes('-----BEGIN ')) return bytes
  bytes.fill(0)
  throw new CliError('bad-file', `${option}: ${path} is not in PEM`, {
    field: option,
    next: 'give a file that holds -----BEGIN …-----',
  })
}
