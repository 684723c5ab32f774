import type { IdentitySource, OidcConfig } from '@cryptvisor/control-plane-api'
import { texts } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { getPassphrase } from '../passphrase.ts'
import { readPem } from '../pem-file.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'

interface OidcOptions {
  readonly issuer: string
  readonly clientId: string
  readonly secretFile?: string
  readonly publicClient?: boolean
  readonly scope?: readonly string[]
  readonly nameClaim?: string
  readonly groupsClaim?: string
  readonly ca?: string
}

/** `identity-source`: where users come from that are not the control plane's own. */
export function addIdentitySource(program: CliCommand, cli: Cli): void {
  const source = program
    .command('identity-source')
    .description(
      'identity sources: an OpenID Connect provider whose users can log in, as NAME@SOURCE; needs VcIdentityProviders.Manage',
    )
  addOidc(source.command('add').description('let users of a provider log in'), cli)
  source
    .command('list')
    .description('list the identity sources')
    .action(() =>
      cli.showAnswer(
        async (client) => (await client.identitySources()).sources,
        (sources) =>
          sources.length === 0
            ? line('no identity sources: all users are the control plane’s own')
            : table(
                ['NAME', 'KIND', 'STATE', 'USERS', 'ISSUER'],
                sources.map(({ name, kind, enabled, userCount, oidc }) => [
                  name,
                  kind,
                  enabled ? 'on' : 'off',
                  String(userCount),
                  oidc.issuer,
                ]),
              ),
      ),
    )
  source
    .command('show')
    .description('show an identity source with its group mappings')
    .argument('<name>', 'its name')
    .action((name: string) => cli.showAnswer((client) => client.identitySource(name), sourceSheet))
  source
    .command('secret')
    .description('give an identity source its client secret, or a new one')
    .argument('<name>', 'its name')
    .option('--secret-file <file>', 'every byte of this file; when it is left out you are asked')
    .action(async (name: string, { secretFile }: { readonly secretFile?: string }) => {
      using secret = await getPassphrase(secretFile, cli.surroundings, 'client secret: ', '--secret-file')
      await cli.withClient((client) => client.setIdentitySourceSecret(name, secret))
      cli.show({ changed: name }, () => line(`${name} has a new secret`))
    })
  for (const enabled of [false, true]) {
    source
      .command(enabled ? 'enable' : 'disable')
      .description(
        enabled
          ? 'let its users log in again'
          : 'let none of its users in: sessions end, and their API tokens do not work meanwhile',
      )
      .argument('<name>', 'its name')
      .action((name: string) =>
        cli.showAnswer(
          (client) => client.changeIdentitySource(name, { enabled }),
          () => line(`${name} is switched ${enabled ? 'on' : 'off'}`),
        ),
      )
  }
  source
    .command('map-group')
    .description('have whoever is in a group of the source be in a group of ours, from their next login on')
    .argument('<source>', 'its name')
    .argument('<external>', 'the group, as the source names it')
    .argument('<group>', 'our group: see «group list»')
    .examples('identity-source map-group corp vm-operators operators')
    .action(async (name: string, external: string, group: string) => {
      await cli.withClient((client) => client.mapGroup(name, { external, group }))
      cli.show({ source: name, external, group }, () => line(`who is in ${external} of ${name} is in group ${group}`))
    })
  source
    .command('unmap-group')
    .description('take a group of the source out of a group of ours, at once')
    .argument('<source>', 'its name')
    .argument('<external>', 'the group, as the source names it')
    .argument('<group>', 'our group')
    .action(async (name: string, external: string, group: string) => {
      await cli.withClient((client) => client.unmapGroup(name, { external, group }))
      cli.show({ source: name, external, group }, () => line(`${external} of ${name} is not mapped to ${group} now`))
    })
  source
    .command('remove')
    .description('remove an identity source with its users, their permissions, sessions and API tokens')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('identity source', name, (client) => client.deleteIdentitySource(name)))
}

function addOidc(add: CliCommand, cli: Cli): void {
  add
    .command('oidc')
    .description(
      'let users of an OpenID Connect provider log in, in a browser (authorization code with PKCE). Register the control plane there with the redirect URI http://127.0.0.1/callback, any port',
    )
    .argument('<name>', 'stands after the @ in the names of its users, such as corp')
    .requiredOption('--issuer <url>', 'the provider’s issuer, https; http for this machine itself only')
    .requiredOption('--client-id <id>', 'what the provider calls the control plane')
    .option('--secret-file <file>', 'the client secret: every byte of this file; when it is left out you are asked')
    .option('--public-client', 'the provider gave no client secret')
    .option('--scope <scope>', 'ask for this scope; once for each (default: openid profile email)', texts)
    .option('--name-claim <claim>', 'the claim with the user’s name (default: preferred_username)')
    .option('--groups-claim <claim>', 'the claim with the user’s groups (default: groups)')
    .option('--ca <file>', 'PEM: trust this CA instead of the system’s')
    .examples(
      'identity-source add oidc corp --issuer https://login.example.org/realms/corp --client-id cryptvisor --secret-file secret',
      'identity-source map-group corp vm-operators operators',
      'login --source corp',
    )
    .action(async (name: string, options: OidcOptions) => {
      if (options.publicClient === true && options.secretFile !== undefined) {
        throw new CliError('usage', '--public-client: has no --secret-file', { field: '--public-client' })
      }
      const oidc = await oidcOf(options)
      using secret =
        options.publicClient === true
          ? null
          : await getPassphrase(options.secretFile, cli.surroundings, 'client secret: ', '--secret-file')
      const made = await cli.withClient(async (client) => {
        const added = await client.createIdentitySource({ name, oidc })
        if (secret === null) return added
        await client.setIdentitySourceSecret(name, secret)
        return client.identitySource(name)
      })
      cli.show(made, sourceSheet)
      cli.hint(`try it: cryptvisor login --source ${name}`)
    })
}

async function oidcOf(options: OidcOptions): Promise<OidcConfig> {
  const { issuer, clientId, scope, nameClaim, groupsClaim, ca } = options
  return {
    issuer,
    clientId,
    ...(scope === undefined ? {} : { scopes: [...scope] }),
    ...(nameClaim === undefined ? {} : { nameClaim }),
    ...(groupsClaim === undefined ? {} : { groupsClaim }),
    ...(ca === undefined ? {} : { ca: await readPem('--ca', ca) }),
  }
}

function sourceSheet({ name, kind, enabled, oidc, hasSecret, groups, userCount, createdAt }: IdentitySource): string {
  return sheet([
    ['name', name],
    ['kind', kind],
    ['state', enabled ? 'on' : 'off'],
    ['issuer', oidc.issuer],
    ['client ID', oidc.clientId],
    ['client secret', hasSecret ? 'there' : 'none'],
    ['scopes', (oidc.scopes ?? ['openid', 'profile', 'email']).join(' ')],
    ['name from claim', oidc.nameClaim ?? 'preferred_username'],
    ['groups from claim', oidc.groupsClaim ?? 'groups'],
    ['users', String(userCount)],
    ['made', formatTime(createdAt)],
    ...groups.map(({ external, group }, index) => [index === 0 ? 'groups' : '', `${external} is ${group}`] as const),
  ])
}
