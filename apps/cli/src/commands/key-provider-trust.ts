import type { ClientTrust, ClientTrustWay } from '@cryptvisor/control-plane-api'
import { type ServerAddress, serverAddresses } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { fingerprints, pinServers } from '../key-provider/trust-servers.ts'
import { addressOf, trustSheet } from '../key-provider/words.ts'
import { readKey, readPem, writePem } from '../pem-file.ts'
import { line } from '../printable.ts'

interface MakeOptions {
  readonly out?: string
  readonly commonName?: string
  readonly force?: boolean
}

interface ShowOptions {
  readonly csr?: boolean
  readonly certificate?: boolean
  readonly rootCa?: boolean
}

interface UploadOptions {
  readonly clientCert: string
  readonly clientKey: string
  readonly force?: boolean
}

interface ServerOptions {
  readonly server?: readonly ServerAddress[]
  readonly acceptFingerprint?: readonly string[]
  readonly serverCa?: string
  readonly unpin?: boolean
}

const force = ['--force', 'use it at once, although the servers have not taken it yet'] as const
const commonName = ['--common-name <text>', 'the certificate’s subject (default: that of the present one)'] as const

/** `key-provider trust`: trust between the control plane and the key servers, in both directions. */
export function addProviderTrust(provider: CliCommand, cli: Cli): void {
  const trust = provider
    .command('trust')
    .description(
      'set up trust between the control plane and the key servers. A new client certificate takes the place of the present one only when the servers take it (or with --force); until then the present one goes on',
    )
    .section('The key server is to trust the control plane: four ways, take the one that it offers', [
      'root-ca      it trusts the control plane’s CA; upload that there once. Certificates renew themselves',
      'self-signed  the control plane’s certificate itself is registered there',
      'csr          its CA signs a request; then: key-provider trust certificate NAME FILE',
      'upload       it made certificate and key; give both',
    ])
    .section('The control plane is to trust the key server', [
      'server       shows the certificates of the servers, and trusts those that you accept, or a CA',
    ])
    .section('Then', ['cryptvisor key-provider status NAME   makes a key, reads it back and destroys it'])
  addServer(trust, cli)
  way(trust, cli, 'root-ca', {
    description:
      'way 1: make a client certificate under the control plane’s CA, and print the CA certificate (PEM) to upload at the key server as a trusted client CA',
    pem: ({ rootCaPem }) => rootCaPem,
  })
  way(trust, cli, 'self-signed', {
    description:
      'way 2: make a self-signed client certificate whose key never leaves, and print it (PEM) to register at the key server',
    pem: ({ prepared, active }) => (prepared ?? active)?.certificatePem,
  })
  way(trust, cli, 'csr', {
    description:
      'way 3: make a key that never leaves and print a request (PKCS#10, PEM) for the key server’s CA; then «key-provider trust certificate»',
    pem: ({ prepared, active }) => (prepared ?? active)?.csrPem,
  })
  trust
    .command('certificate')
    .description('way 3, second half: take the certificate that the key server’s CA made of the request')
    .argument('<name>', 'the key provider')
    .argument('<file>', 'PEM: the certificate, with those between it and its CA')
    .option(...force)
    .action(async (name: string, file: string, options: { force?: boolean }) => {
      const certificate = await readPem('file', file)
      await cli.showAnswer(
        (client) => client.sendSignedCertificate(name, { certificate, ...forced(options) }),
        trustSheet,
      )
    })
  trust
    .command('upload')
    .description('way 4: give a certificate and its key that the key server made')
    .argument('<name>', 'the key provider')
    .requiredOption('--client-cert <file>', 'PEM: the certificate')
    .requiredOption('--client-key <file>', 'PEM: its private key; it is sent once and kept sealed')
    .option(...force)
    .action(async (name: string, options: UploadOptions) => {
      const certificate = await readPem('--client-cert', options.clientCert)
      using clientKey = await readKey('--client-key', options.clientKey)
      await cli.showAnswer(async (client) => {
        await client.uploadClientKey(name, clientKey)
        return client.prepareClientTrust(name, { way: 'upload', certificate, ...forced(options) })
      }, trustSheet)
    })
  trust
    .command('activate')
    .description('try the prepared client certificate again, and use it from now on when the servers take it')
    .argument('<name>', 'the key provider')
    .option(...force)
    .action((name: string, options: { force?: boolean }) =>
      cli.showAnswer((client) => client.activateClientTrust(name, forced(options)), trustSheet),
    )
  trust
    .command('show')
    .description('show the client certificates and what to do next, or print one of them (PEM)')
    .argument('<name>', 'the key provider')
    .option('--csr', 'print the request that waits to be signed')
    .option('--certificate', 'print the client certificate: the prepared one, else the present one')
    .option('--root-ca', 'print the certificate of the control plane’s CA')
    .action(async (name: string, options: ShowOptions) => {
      const trust = await cli.withClient((client) => client.clientTrust(name))
      cli.show(trust, () => chosen(trust, options, name) ?? trustSheet(trust))
    })
}

function addServer(trust: CliCommand, cli: Cli): void {
  trust
    .command('server')
    .description(
      'trust the certificates of the servers: shows each with its fingerprint and asks. Also the way to accept one that changed',
    )
    .argument('<name>', 'the key provider')
    .option('--server <host:port>', 'this server alone; once for each (default: all)', serverAddresses)
    .option('--accept-fingerprint <sha256>', 'a certificate that is the right one; once for each', fingerprints)
    .option('--server-ca <file>', 'PEM: trust certificates of this CA instead, whatever they are')
    .option('--unpin', 'with --server-ca: forget the fingerprints, so that the CA alone decides')
    .examples(
      'key-provider trust server kms',
      'key-provider trust server kms --accept-fingerprint 3F:…:A0',
      'key-provider trust server kms --server-ca ca.pem --unpin',
    )
    .action(async (name: string, options: ServerOptions) => {
      const serverCa = options.serverCa === undefined ? undefined : await readPem('--server-ca', options.serverCa)
      if (options.unpin === true && serverCa === undefined) {
        throw new CliError('usage', '--unpin: goes with --server-ca', { field: '--unpin' })
      }
      await cli.showAnswer(
        async (client) => {
          const all =
            options.server ?? (await client.keyProvider(name)).servers.map(({ host, port }) => ({ host, port }))
          if (serverCa !== undefined) {
            const pins = options.unpin === true ? all.map((address) => ({ ...address, fingerprint256: null })) : []
            return client.trustKeyServers(name, { serverCa, pins })
          }
          const pinned = await pinServers(cli, client, all, options.acceptFingerprint ?? [])
          return client.trustKeyServers(name, {
            pins: pinned.map(({ fingerprint256 = null, ...address }) => ({ ...address, fingerprint256 })),
          })
        },
        (changed) =>
          line(
            `key provider ${changed.name} trusts ${changed.servers
              .map(
                (server) => `${addressOf(server)} by ${server.fingerprint256 === null ? 'its CA' : 'its fingerprint'}`,
              )
              .join(', ')}`,
          ),
      )
    })
}

/** One of the ways in which the key is made here. */
function way(
  trust: CliCommand,
  cli: Cli,
  name: Exclude<ClientTrustWay, 'upload'>,
  words: { readonly description: string; readonly pem: (trust: ClientTrust) => string | null | undefined },
): void {
  trust
    .command(name)
    .description(words.description)
    .argument('<name>', 'the key provider')
    .option('--out <file>', 'write it to this new file instead')
    .option(...commonName)
    .option(...force)
    .examples(`key-provider trust ${name} kms --out ${name}.pem`)
    .action(async (provider: string, options: MakeOptions) => {
      const trust = await cli.withClient((client) =>
        client.prepareClientTrust(provider, {
          way: name,
          ...(options.commonName === undefined ? {} : { commonName: options.commonName }),
          ...forced(options),
        }),
      )
      const pem = words.pem(trust) ?? null
      if (options.out !== undefined && pem !== null) await writePem('--out', options.out, pem)
      const isPrinted = options.out === undefined && pem !== null
      cli.show(trust, () => (isPrinted ? pem : trustSheet(trust)))
      if (isPrinted && trust.next !== null) cli.hint(`next: ${trust.next}`)
    })
}

const forced = (options: { readonly force?: boolean }) => (options.force === true ? { force: true } : {})

function chosen(trust: ClientTrust, options: ShowOptions, name: string): string | null {
  if (options.rootCa === true) return trust.rootCaPem
  const wanted =
    options.csr === true
      ? { what: 'request', pem: trust.prepared?.csrPem }
      : options.certificate === true
        ? { what: 'client certificate', pem: (trust.prepared ?? trust.active)?.certificatePem }
        : null
  if (wanted === null) return null
  if (wanted.pem != null) return wanted.pem
  throw new CliError('not-found', `key provider ${name} has no ${wanted.what}`, {
    next: 'make one: cryptvisor key-provider trust --help',
  })
}
