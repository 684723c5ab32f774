import type { IdentitySource, OidcConfig } from '@cryptvisor/control-plane-api'
import { texts, wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { withSecret } from '../identity-source-secret.ts'
import { getPassphrase } from '../passphrase.ts'
import { readPem } from '../pem-file.ts'

interface OidcOptions {
  readonly issuer?: string
  readonly clientId?: string
  readonly secretFile?: string
  readonly publicClient?: boolean
  readonly scope?: readonly string[]
  readonly nameClaim?: string
  readonly groupsClaim?: string
  readonly serverCa?: string
  readonly deviceLogins?: boolean
  readonly confirmDays?: number
}

const daysOfTokens =
  'API tokens of its users work for so many days after it confirmed the user last, as each login does'

/** `identity-source add oidc`. */
export function addOidc(add: CliCommand, cli: Cli, show: (source: IdentitySource) => string): void {
  const command = add
    .command('oidc')
    .description(
      'let users of an OpenID Connect provider log in, in a browser (authorization code with PKCE). Register the control plane there with the redirect URI http://127.0.0.1/callback, any port',
    )
    .argument('<name>', 'stands after the @ in the names of its users, such as corp')
    .requiredOption('--issuer <url>', 'the provider’s issuer, https; http for this machine itself only')
    .requiredOption('--client-id <id>', 'what the provider calls the control plane')
    .option('--confirm-days <days>', `${daysOfTokens} (default: 30)`, wholeNumber(1, 365))
  addOidcOptions(command)
    .examples(
      'identity-source add oidc corp --issuer https://login.example.org/realms/corp --client-id cryptvisor --secret-file secret',
      'identity-source map-group corp vm-operators operators',
      'login --source corp',
    )
    .action(async (name: string, options: OidcOptions) => {
      requireOneSecret(options)
      const { confirmDays } = options
      const oidc = await oidcOf(options, { issuer: '', clientId: '' })
      using secret = options.publicClient === true ? null : await secretOf(cli, options)
      const days = confirmDays === undefined ? {} : { confirmDays }
      const made = await withSecret(cli, name, secret, (client) => client.createIdentitySource({ name, oidc, ...days }))
      cli.show(made, show)
      cli.hint(`try it: cryptvisor login --source ${name}`)
    })
}

/** `identity-source set-oidc`. */
export function setOidc(source: CliCommand, cli: Cli, show: (source: IdentitySource) => string): void {
  const command = source
    .command('set-oidc')
    .description(
      'change the settings of an OpenID Connect provider; what is left out stays. Users and mappings stay, sessions end, and its client secret is given again, since the one that it had was for the settings before',
    )
    .argument('<name>', 'its name')
    .option('--issuer <url>', 'the provider’s issuer, https; http for this machine itself only')
    .option('--client-id <id>', 'what the provider calls the control plane')
  addOidcOptions(command)
    .examples(
      'identity-source set-oidc corp --groups-claim roles --secret-file secret',
      'identity-source set-oidc corp --client-id cryptvisor-2 --public-client',
    )
    .action(async (name: string, options: OidcOptions) => {
      requireOneSecret(options)
      const before = (await cli.withClient((client) => client.identitySource(name))).oidc
      if (before === undefined) {
        throw new CliError('usage', `${name}: is a directory`, { next: 'change it with «identity-source set-ldap»' })
      }
      const oidc = await oidcOf(options, before)
      using secret = options.publicClient === true ? null : await secretOf(cli, options)
      const changed = await withSecret(cli, name, secret, (client) => client.changeIdentitySource(name, { oidc }))
      cli.show(changed, show)
    })
}

function addOidcOptions(command: CliCommand): CliCommand {
  return command
    .option('--secret-file <file>', 'the client secret: every byte of this file; when it is left out you are asked')
    .option('--public-client', 'the provider gave no client secret')
    .option('--scope <scope>', 'ask for this scope; once for each (default: openid profile email)', texts)
    .option('--name-claim <claim>', 'the claim with the user’s name (default: preferred_username)')
    .option('--groups-claim <claim>', 'the claim with the user’s groups (default: groups)')
    .option('--server-ca <file>', 'PEM: trust this CA instead of the system’s')
    .option(
      '--device-logins',
      'let users log in at terminals without a browser (login --device); whoever talks a user into typing a code then gets their session, so it is off when left out',
    )
    .option('--no-device-logins', 'let nobody log in so')
}

function requireOneSecret({ publicClient, secretFile }: OidcOptions): void {
  if (publicClient !== true || secretFile === undefined) return
  throw new CliError('usage', '--public-client: has no --secret-file', { field: '--public-client' })
}

const secretOf = (cli: Cli, { secretFile }: OidcOptions) =>
  getPassphrase(secretFile, cli.surroundings, 'client secret: ', '--secret-file')

/** The settings that there were, and what is said. */
async function oidcOf(options: OidcOptions, before: OidcConfig): Promise<OidcConfig> {
  const { issuer, clientId, scope, nameClaim, groupsClaim, serverCa, deviceLogins } = options
  return {
    ...before,
    ...(issuer === undefined ? {} : { issuer }),
    ...(clientId === undefined ? {} : { clientId }),
    ...(scope === undefined ? {} : { scopes: [...scope] }),
    ...(nameClaim === undefined ? {} : { nameClaim }),
    ...(groupsClaim === undefined ? {} : { groupsClaim }),
    ...(deviceLogins === undefined ? {} : { deviceLogins }),
    ...(serverCa === undefined ? {} : { ca: await readPem('--server-ca', serverCa) }),
  }
}
