import type { IdentitySource, LdapConfig, OidcConfig } from '@cryptvisor/control-plane-api'
import type { Barrier } from '@cryptvisor/key-store'
import type { Secret } from '@cryptvisor/secret'
import type { Kysely } from 'kysely'
import type { IdentitySourceRow } from '../../database/identity-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { timeText } from '../clock.ts'
import { ControlPlaneError } from '../control-plane-error.ts'

/** Throws `not-found`. */
export async function findSource(database: Kysely<Schema>, name: string): Promise<IdentitySourceRow> {
  const row = await database.selectFrom('identity_source').selectAll().where('name', '=', name).executeTakeFirst()
  if (row !== undefined) return row
  const message = `there is no identity source ${name}: see «identity-source list»`
  throw new ControlPlaneError('not-found', message, { field: 'source' })
}

/** Written from the schema. */
export const oidcConfigOf = ({ config }: Pick<IdentitySourceRow, 'config'>) => JSON.parse(config) as OidcConfig

/** As above, of a source of the kind `ldap`. */
export const ldapConfigOf = ({ config }: Pick<IdentitySourceRow, 'config'>) => JSON.parse(config) as LdapConfig

/** The secret opens only for the very settings that it was given for: nobody who writes the database can have it sent elsewhere. */
export const secretContextOf = ({ name, kind, config }: Pick<IdentitySourceRow, 'name' | 'kind' | 'config'>) => ({
  type: 'secret of an identity source',
  name,
  kind,
  config,
})

/** The caller disposes of it; `null`: there is none. */
export function openSourceSecret(barrier: Barrier, row: IdentitySourceRow): Secret | null {
  return row.secret_sealed === null ? null : barrier.unseal(secretContextOf(row), row.secret_sealed)
}

/** As the API shows it. */
export async function viewSource(database: Kysely<Schema>, row: IdentitySourceRow): Promise<IdentitySource> {
  const groups = await database
    .selectFrom('group_mapping')
    .select(['external_name as external', 'group_name as group'])
    .where('source_name', '=', row.name)
    .orderBy('external_name')
    .orderBy('group_name')
    .execute()
  const users = await database
    .selectFrom('external_user')
    .select((select) => select.fn.countAll<number>().as('count'))
    .where('source_name', '=', row.name)
    .executeTakeFirst()
  return {
    name: row.name,
    kind: row.kind,
    enabled: row.enabled === 1,
    ...(row.kind === 'oidc' ? { oidc: oidcConfigOf(row) } : { ldap: ldapConfigOf(row) }),
    hasSecret: row.secret_sealed !== null,
    confirmDays: row.confirm_days,
    groups,
    userCount: Number(users?.count ?? 0),
    failing: row.failed_at === null ? null : { since: timeText(row.failed_at), text: row.failure ?? '' },
    createdAt: timeText(row.created_at),
  }
}
