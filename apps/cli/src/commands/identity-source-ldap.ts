import type { IdentitySource, IdentitySourceTest, LdapConfig, LdapPreset } from '@cryptvisor/control-plane-api'
import { Option } from 'commander'
import { texts } from '../arguments.ts'
import type { Cli } from '../cli.ts'
import { CliError } from '../cli-error.ts'
import type { CliCommand } from '../command.ts'
import { withSecret } from '../identity-source-secret.ts'
import { getPassphrase } from '../passphrase.ts'
import { readPem } from '../pem-file.ts'
import { line } from '../printable.ts'
import { sheet, table } from '../table.ts'

interface LdapOptions {
  readonly preset?: LdapPreset
  readonly server?: readonly string[]
  readonly startTls?: boolean
  readonly serverCa?: string
  readonly bindDn?: string
  readonly bindPasswordFile?: string
  readonly anonymous?: boolean
  readonly userBase?: string
  readonly groupBase?: string
  readonly userFilter?: string
  readonly groupFilter?: string
  readonly nameAttribute?: string
  readonly groupNameAttribute?: string
}

const presetNames: readonly LdapPreset[] = ['ad', 'openldap', 'freeipa']
const presets = [
  '--preset <kind>',
  'ad: Active Directory; openldap: RFC 2307bis, groups with members by DN; freeipa: FreeIPA, Red Hat IdM',
] as const
const servers = [
  '--server <url>',
  'ldaps://HOST[:PORT], or ldap://HOST[:PORT] with StartTLS; once for each, tried in this order',
] as const
const userBase = ['--user-base <dn>', 'users are below this entry'] as const

function addLdapOptions(command: CliCommand): CliCommand {
  return command
    .option('--start-tls', 'StartTLS at ldap:// servers, as is usual')
    .option('--no-start-tls', 'no TLS at ldap:// servers: for this machine itself only')
    .option('--server-ca <file>', 'PEM: trust certificates of this CA alone, instead of the system’s')
    .option('--bind-dn <dn>', 'the account that may search users and groups')
    .option('--bind-password-file <file>', 'its password: every byte of this file; when it is left out you are asked')
    .option('--anonymous', 'search without an account, where the directory lets anybody')
    .option('--group-base <dn>', 'groups are below this entry (default: the user base)')
    .option('--user-filter <filter>', 'which entries are users, instead of the preset’s')
    .option('--group-filter <filter>', 'which entries are groups, instead of the preset’s')
    .option('--name-attribute <attribute>', 'users log in by this (default: sAMAccountName for ad, uid for others)')
    .option('--group-name-attribute <attribute>', 'what groups are mapped by (default: sAMAccountName, or cn)')
}

/** `identity-source add ldap`. */
export function addLdap(add: CliCommand, cli: Cli, show: (source: IdentitySource) => string): void {
  addLdapOptions(
    add
      .command('ldap')
      .description(
        'let users of an LDAP directory log in with their password there, as NAME@SOURCE. Nobody can before one of their groups is mapped',
      )
      .argument('<name>', 'stands after the @ in the names of its users, such as corp')
      .addOption(new Option(...presets).choices(presetNames).makeOptionMandatory())
      .requiredOption(...servers, texts)
      .requiredOption(...userBase),
  )
    .examples(
      'identity-source add ldap corp --preset ad --server ldaps://dc1.example.org --server ldaps://dc2.example.org --server-ca ca.pem --bind-dn cryptvisor@example.org --bind-password-file password --user-base dc=example,dc=org',
      'identity-source test corp --user alice',
      'identity-source map-group corp vm-operators operators',
      'login --user alice@corp',
    )
    .action(async (name: string, options: LdapOptions) => {
      const ldap = await ldapOf(options, { preset: 'openldap', servers: [], userBase: '' })
      using secret = await passwordOf(cli, ldap, options)
      const made = await withSecret(cli, name, secret, (client) => client.createIdentitySource({ name, ldap }))
      cli.show(made, show)
      cli.hint(`see that it works: cryptvisor identity-source test ${name} --user NAME`)
    })
}

/** `identity-source set-ldap`, `test` and `recheck`. */
export function addLdapCare(source: CliCommand, cli: Cli, show: (source: IdentitySource) => string): void {
  addLdapOptions(
    source
      .command('set-ldap')
      .description(
        'change the settings of a directory; what is left out stays. Users and mappings stay, sessions end, and its bind password is given again, since the one that it had was for the settings before',
      )
      .argument('<name>', 'its name')
      .addOption(new Option(...presets).choices(presetNames))
      .option(...servers, texts)
      .option(...userBase),
  ).action(async (name: string, options: LdapOptions) => {
    const before = (await cli.withClient((client) => client.identitySource(name))).ldap
    if (before === undefined) {
      throw new CliError('usage', `${name}: is no directory`, { next: 'change it with «identity-source set-oidc»' })
    }
    const ldap = await ldapOf(options, before)
    using secret = await passwordOf(cli, ldap, options)
    const changed = await withSecret(cli, name, secret, (client) => client.changeIdentitySource(name, { ldap }))
    cli.show(changed, show)
  })
  source
    .command('test')
    .description(
      'try a source out without anybody’s password. Of a provider: certificate, description, keys, clock, client ID and secret; of a directory: every server, and what it says of a user: entry, groups, whether they could log in',
    )
    .argument('<name>', 'its name')
    .option('--user <name>', 'of a directory: also look for this user, by the name that they have there')
    .examples('identity-source test corp', 'identity-source test corp --user alice')
    .action(async (name: string, { user }: { readonly user?: string }) => {
      const tried = await cli.withClient((client) =>
        client.testIdentitySource(name, user === undefined ? {} : { user }),
      )
      cli.show(tried, testText)
      if (tried.works) return
      const failed = tried.steps.find(({ works }) => !works)?.name
      const who = user === undefined ? '' : ` for ${user}`
      throw new CliError('check-failed', `${name} does not work${who}${failed === undefined ? '' : `: ${failed}`}`, {
        next: 'mend what is said above, then try it again',
      })
    })
  source
    .command('recheck')
    .description(
      'ask a directory now about its users who are logged in or have API tokens, as is done by itself every quarter of an hour',
    )
    .argument('<name>', 'its name')
    .action((name: string) =>
      cli.showAnswer(
        (client) => client.recheckIdentitySource(name),
        ({ checkedCount, ended }) =>
          ended.length === 0
            ? line(`${checkedCount} users were asked about: nothing was taken from anybody`)
            : table(
                ['USER', 'SESSIONS AND API TOKENS ARE OVER, SINCE THE USER'],
                ended.map(({ user, cause }) => [user, cause]),
              ),
      ),
    )
}

/** How a directory's settings are shown. */
export function ldapRows(ldap: LdapConfig, hasSecret: boolean): (readonly [string, string])[] {
  const usual = ldap.preset === 'ad' ? 'sAMAccountName' : 'uid'
  return [
    ['preset', ldap.preset],
    ...ldap.servers.map((server, index) => [index === 0 ? 'servers' : '', server] as const),
    ['bind DN', ldap.bindDn ?? 'none: searches as nobody'],
    ['bind password', hasSecret ? 'there' : 'none'],
    ['CA', ldap.ca === undefined ? 'the system’s' : 'given'],
    ['user base', ldap.userBase],
    ['group base', ldap.groupBase ?? ldap.userBase],
    ...(ldap.userFilter === undefined ? [] : [['user filter', ldap.userFilter] as const]),
    ...(ldap.groupFilter === undefined ? [] : [['group filter', ldap.groupFilter] as const]),
    ['users log in by', ldap.nameAttribute ?? usual],
    ['groups go by', ldap.groupNameAttribute ?? (ldap.preset === 'ad' ? 'sAMAccountName' : 'cn')],
  ]
}

/** The settings that there were, and what is said. */
async function ldapOf(
  options: LdapOptions,
  { bindDn: boundBefore, anonymous, ...before }: LdapConfig,
): Promise<LdapConfig> {
  const { preset, server, startTls, serverCa, userBase } = options
  const { groupBase, userFilter, groupFilter, nameAttribute, groupNameAttribute } = options
  const isAnonymous = options.anonymous ?? (options.bindDn === undefined && anonymous === true)
  const bindDn = options.bindDn ?? (isAnonymous ? undefined : boundBefore)
  return {
    ...before,
    ...(preset === undefined ? {} : { preset }),
    ...(server === undefined ? {} : { servers: [...server] }),
    ...(startTls === undefined ? {} : { startTls }),
    ...(serverCa === undefined ? {} : { ca: await readPem('--server-ca', serverCa) }),
    ...(bindDn === undefined ? {} : { bindDn }),
    ...(isAnonymous ? { anonymous: true } : {}),
    ...(userBase === undefined ? {} : { userBase }),
    ...(groupBase === undefined ? {} : { groupBase }),
    ...(userFilter === undefined ? {} : { userFilter }),
    ...(groupFilter === undefined ? {} : { groupFilter }),
    ...(nameAttribute === undefined ? {} : { nameAttribute }),
    ...(groupNameAttribute === undefined ? {} : { groupNameAttribute }),
  }
}

/** `null`: nobody is to be bound as. */
async function passwordOf(cli: Cli, { bindDn, anonymous }: LdapConfig, { bindPasswordFile }: LdapOptions) {
  if (bindDn !== undefined) {
    return getPassphrase(bindPasswordFile, cli.surroundings, `password of ${bindDn}: `, '--bind-password-file')
  }
  if (anonymous === true) return null
  throw new CliError('usage', '--bind-dn: is missing', {
    field: '--bind-dn',
    next: 'give the account that may search users and groups, or --anonymous where the directory lets anybody',
  })
}

function testText({ steps, user }: IdentitySourceTest): string {
  const tried = table(
    ['WHAT', 'WORKS', 'MORE'],
    steps.map((step) => [step.name, step.works ? 'yes' : 'no', step.text]),
  )
  if (user === null) return tried
  const { name, dn, subject, state, groups, canLogIn, problem } = user
  return `${tried}\n${sheet([
    ['name here', name ?? 'none'],
    ['entry', dn],
    ['ID', subject],
    ['state', state],
    ...groups.map(
      (group, index) =>
        [
          index === 0 ? 'groups' : '',
          `${group.name} (${group.dn})${group.mappedTo.length === 0 ? '' : `, here ${group.mappedTo.join(', ')}`}`,
        ] as const,
    ),
    ['can log in', canLogIn ? 'yes, with the right password' : `no: ${problem ?? ''}`],
  ])}`
}
