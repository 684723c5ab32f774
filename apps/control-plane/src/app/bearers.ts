import { createHash, randomBytes } from 'node:crypto'
import { isPrivilege } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { BearerRow, Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import type { Principal } from './ports.ts'

/** 256 bits; a token cannot be guessed, so its SHA-256 needs no salt. */
const tokenSizeBytes = 32
const prefixes = { session: 'cvs_', 'api-token': 'cvt_' } as const

/** How exactly it is known when a token was used last. */
const lastUsedStepMs = 60_000

/** What a token may look like; anything else is not looked up. */
const tokenForm = /^cv[st]_[A-Za-z0-9_-]{43}$/

/** A user who showed a bearer token. */
export interface Caller extends Principal {
  readonly role: string
  readonly bearer: { readonly id: string; readonly kind: BearerRow['kind'] }
}

/** Whom a bearer token is for. */
export interface NewBearer {
  readonly kind: BearerRow['kind']
  readonly name: string
  readonly user: string
  /** Milliseconds since 1970; `null`: does not expire. */
  readonly expiresAt: number | null
}

/** Bearer tokens, of which only the hash is kept: those of login sessions, and API tokens. */
export class Bearers {
  readonly #database: Kysely<Schema>
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, clock: Clock) {
    this.#database = database
    this.#clock = clock
  }

  /** Makes a token. This is the only time that it is seen. */
  async create(
    transaction: Transaction<Schema>,
    { kind, name, user, expiresAt }: NewBearer,
  ): Promise<{ token: string; row: BearerRow }> {
    const token = prefixes[kind] + randomBytes(tokenSizeBytes).toString('base64url')
    const row: BearerRow = {
      id: v7(),
      token_sha256: hashOf(token),
      kind,
      name,
      user_name: user,
      created_at: this.#clock(),
      expires_at: expiresAt,
      last_used_at: null,
    }
    await transaction.insertInto('bearer').values(row).execute()
    return { token, row }
  }

  /** Who shows `token`, with the privileges that the user's role has now; `null`: nobody that we know (any more). */
  async authenticate(token: string): Promise<Caller | null> {
    if (!tokenForm.test(token)) return null
    return this.#find('token_sha256', hashOf(token))
  }

  /** `caller` as they are now; `null`: their token does not work any more. */
  async refresh(caller: Caller): Promise<Caller | null> {
    return this.#find('bearer.id', caller.bearer.id)
  }

  /** Makes a token worthless. Whether it was there. */
  async remove(transaction: Kysely<Schema>, id: string): Promise<boolean> {
    const { numDeletedRows } = await transaction.deleteFrom('bearer').where('id', '=', id).executeTakeFirst()
    return numDeletedRows > 0n
  }

  async #find(column: 'token_sha256' | 'bearer.id', value: string): Promise<Caller | null> {
    const found = await this.#database
      .selectFrom('bearer')
      .innerJoin('user', 'user.name', 'bearer.user_name')
      .innerJoin('role', 'role.name', 'user.role_name')
      .select(['bearer.id', 'kind', 'expires_at', 'last_used_at', 'user.name', 'role.name as role', 'privileges'])
      .where(column, '=', value)
      .executeTakeFirst()
    const now = this.#clock()
    if (found === undefined || (found.expires_at !== null && found.expires_at <= now)) return null
    if (found.last_used_at === null || found.last_used_at + lastUsedStepMs <= now) {
      await this.#database.updateTable('bearer').set({ last_used_at: now }).where('id', '=', found.id).execute()
    }
    return {
      name: found.name,
      role: found.role,
      privileges: privilegesOf(found.privileges),
      bearer: { id: found.id, kind: found.kind },
    }
  }
}

/** The privileges of a role's row. One that this version does not know gives nothing. */
export function privilegesOf(json: string): Caller['privileges'] {
  const stored: unknown = JSON.parse(json)
  if (!Array.isArray(stored)) throw new Error('the privileges of a role are not a list')
  return new Set(stored.map(String).filter(isPrivilege))
}

const hashOf = (token: string) => createHash('sha256').update(token, 'utf8').digest('hex')
