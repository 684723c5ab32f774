import type { Kysely, Transaction } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'

/** What a source says of somebody who has shown it who they are. */
export interface ExternalIdentity {
  /** Who it is, under whatever name. */
  readonly subject: string
  /** What they are called there. */
  readonly name: string
  /** As the source names them. */
  readonly groups: readonly string[]
}

/** A user's name, as the API has it. */
const nameForm = /^[a-z0-9][a-z0-9._@-]*$/
const nameSizeMax = 64

/**
 * Makes the user of an identity, or finds the one that was made at an earlier login, and puts them into exactly the groups
 * that the source's mappings give; memberships that somebody here gave stay. Gives the user's name. Throws `not-logged-in`
 * for a name that cannot be ours, or that is another user's: accounts that are made again under an old name are no heirs.
 */
export async function putExternalUser(
  transaction: Transaction<Schema>,
  source: string,
  identity: ExternalIdentity,
  passwordHash: string,
  now: number,
): Promise<string> {
  const known = await userOfSubject(transaction, source, identity.subject)
  const user = known ?? (await make(transaction, source, identity, passwordHash, now))
  await transaction.updateTable('external_user').set({ checked_at: now }).where('user_name', '=', user).execute()
  await putIntoGroups(transaction, source, user, identity.groups)
  return user
}

async function make(
  transaction: Transaction<Schema>,
  source: string,
  { subject, name: given }: ExternalIdentity,
  passwordHash: string,
  now: number,
): Promise<string> {
  const name = `${given.toLowerCase()}@${source}`
  if (!nameForm.test(name) || name.length > nameSizeMax) {
    const message = `the name that ${source} gives you has other characters than A-Z, 0-9 and ._@-, or is too long: have another claim or attribute give the name`
    throw new ControlPlaneError('not-logged-in', message)
  }
  const other = await transaction
    .selectFrom('user')
    .select('name')
    .where((where) => where(where.fn<string>('lower', ['name']), '=', name))
    .executeTakeFirst()
  if (other !== undefined) {
    const message = `another account of ${source} logged in as ${other.name} before: an administrator has to remove that user first (cryptvisor user remove)`
    throw new ControlPlaneError('not-logged-in', message)
  }
  await transaction.insertInto('user').values({ name, password_hash: passwordHash, created_at: now }).execute()
  await transaction
    .insertInto('external_user')
    .values({ user_name: name, source_name: source, subject, checked_at: now })
    .execute()
  return name
}

/** Puts a user into exactly the groups that the source's mappings give for `external`, and gives these; other memberships stay. */
export async function putIntoGroups(
  transaction: Transaction<Schema>,
  source: string,
  user: string,
  external: readonly string[],
): Promise<string[]> {
  const groups = await mappedGroups(transaction, source, external)
  await transaction.deleteFrom('group_member').where('user_name', '=', user).where('from_source', '=', 1).execute()
  for (const group_name of groups) {
    await transaction
      .insertInto('group_member')
      .values({ group_name, user_name: user, from_source: 1 })
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
  return groups
}

/** The groups of ours that these groups of the source are mapped to. */
export async function mappedGroups(
  database: Kysely<Schema>,
  source: string,
  external: readonly string[],
): Promise<string[]> {
  const has = new Set(external)
  const mappings = await database
    .selectFrom('group_mapping')
    .select(['external_name', 'group_name'])
    .where('source_name', '=', source)
    .orderBy('group_name')
    .execute()
  return [...new Set(mappings.filter((each) => has.has(each.external_name)).map(({ group_name }) => group_name))]
}

/** The user whom the source knows as `subject`; `null`: they never logged in. */
export async function userOfSubject(database: Kysely<Schema>, source: string, subject: string): Promise<string | null> {
  const row = await database
    .selectFrom('external_user')
    .select('user_name')
    .where('source_name', '=', source)
    .where('subject', '=', subject)
    .executeTakeFirst()
  return row?.user_name ?? null
}

/** The names of all users of a source, as a part of another query. */
export const usersOfSource = (database: Kysely<Schema>, source: string) =>
  database.selectFrom('external_user').select('external_user.user_name').where('source_name', '=', source)

/** Where a user comes from; `null`: they are our own. */
export async function sourceOf(database: Kysely<Schema>, user: string): Promise<string | null> {
  const row = await database
    .selectFrom('external_user')
    .select('source_name')
    .where('user_name', '=', user)
    .executeTakeFirst()
  return row?.source_name ?? null
}
