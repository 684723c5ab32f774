import type { IdentitySource, OidcConfig } from '@cryptvisor/control-plane-api'
import { wholeNumber } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import type { CliCommand } from '../command.ts'
import { getPassphrase } from '../passphrase.ts'
import { line } from '../printable.ts'
import { formatTime } from '../quantity.ts'
import { sheet, table } from '../table.ts'
import { addLdap, addLdapCare, ldapRows } from './identity-source-ldap.ts'
import { addOidc, setOidc } from './identity-source-oidc.ts'

/** `identity-source`: where users come from that are not the control plane's own. */
export function addIdentitySource(program: CliCommand, cli: Cli): void {
  const source = program
    .command('identity-source')
    .description(
      'identity sources: OpenID Connect providers and LDAP directories whose users can log in, as NAME@SOURCE; needs VcIdentityProviders.Manage',
    )
  const add = source.command('add').description('let users of a provider or a directory log in')
  addOidc(add, cli, sourceSheet)
  addLdap(add, cli, sourceSheet)
  setOidc(source, cli, sourceSheet)
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
                ['NAME', 'KIND', 'STATE', 'USERS', 'WHERE'],
                sources.map(({ name, kind, enabled, failing, userCount, oidc, ldap }) => [
                  name,
                  kind,
                  enabled ? (failing === null ? 'on' : 'failing') : 'off',
                  String(userCount),
                  oidc?.issuer ?? ldap?.servers.join(' ') ?? '',
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
    .description('give an identity source its client secret or bind password, or a new one')
    .argument('<name>', 'its name')
    .option('--secret-file <file>', 'every byte of this file; when it is left out you are asked')
    .action(async (name: string, { secretFile }: { readonly secretFile?: string }) => {
      using secret = await getPassphrase(secretFile, cli.surroundings, 'secret: ', '--secret-file')
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
    .command('confirm-days')
    .description(
      'let API tokens of its users rest when it has not confirmed the user for so many days; whoever logs in by it again wakes theirs',
    )
    .argument('<name>', 'its name')
    .argument('<days>', '1 to 365', wholeNumber(1, 365))
    .examples('identity-source confirm-days corp 7')
    .action((name: string, confirmDays: number) =>
      cli.showAnswer(
        (client) => client.changeIdentitySource(name, { confirmDays }),
        () => line(`API tokens of users of ${name} work for ${confirmDays} days after it confirmed the user`),
      ),
    )
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
  addLdapCare(source, cli, sourceSheet)
  source
    .command('remove')
    .description('remove an identity source with its users, their permissions, sessions and API tokens')
    .argument('<name>', 'its name')
    .action((name: string) => cli.remove('identity source', name, (client) => client.deleteIdentitySource(name)))
}

function oidcRows(oidc: OidcConfig, hasSecret: boolean): (readonly [string, string])[] {
  return [
    ['issuer', oidc.issuer],
    ['client ID', oidc.clientId],
    ['client secret', hasSecret ? 'there' : 'none'],
    ['scopes', (oidc.scopes ?? ['openid', 'profile', 'email']).join(' ')],
    ['name from claim', oidc.nameClaim ?? 'preferred_username'],
    ['groups from claim', oidc.groupsClaim ?? 'groups'],
    ['logins by device', oidc.deviceLogins === true ? 'allowed' : 'no'],
  ]
}

function sourceSheet(source: IdentitySource): string {
  const { name, kind, enabled, failing, oidc, ldap, hasSecret, confirmDays, groups, userCount, createdAt } = source
  return sheet([
    ['name', name],
    ['kind', kind],
    ['state', enabled ? 'on' : 'off'],
    ...(failing === null ? [] : [['cannot be used', `since ${formatTime(failing.since)}: ${failing.text}`] as const]),
    ...(oidc === undefined ? [] : oidcRows(oidc, hasSecret)),
    ...(ldap === undefined ? [] : ldapRows(ldap, hasSecret)),
    ['API tokens work for', `${confirmDays} days after it confirmed their user`],
    ['users', String(userCount)],
    ['made', formatTime(createdAt)],
    ...groups.map(({ external, group }, index) => [index === 0 ? 'groups' : '', `${external} is ${group}`] as const),
  ])
}
