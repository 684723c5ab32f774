import { createHash, randomBytes } from 'node:crypto'
import type { Privilege } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { BearerRow, Schema } from '../database/schema.ts'
import type { Clock } from './clock.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import { standingOf } from './identity/source-standing.ts'
import { type ObjectPath, rootPath } from './inventory/inventory-object.ts'
import { Grants } from './permissions/grants.ts'
import type { Principal } from './ports.ts'
import { lacksSecondFactor } from './second-factor/login-rule.ts'
import { defaultSessionLimits, isIdle, lastUsedStepMs, type SessionLimits } from './session-limits.ts'

/** 256 bits; a token cannot be guessed, so its SHA-256 needs no salt. */
const tokenSizeBytes = 32
const prefixes = { session: 'cvs_', 'api-token': 'cvt_' } as const

/** What a token may look like; anything else is not looked up. */
const tokenForm = /^cv[st]_[A-Za-z0-9_-]{43}$/

/** A user who showed a bearer token. */
export interface Caller extends Principal {
  /** Of the user's own permission on the root; `null`: there is none. */
  readonly role: string | null
  readonly grants: Grants
  /** Whether there may be an object on which they have the privilege. */
  canSomewhere(privilege: Privilege): boolean
  /** They have to set up a second factor before anything else; never so for API tokens. */
  readonly lacksSecondFactor: boolean
  readonly bearer: { readonly id: string; readonly kind: BearerRow['kind'] }
}

/** Whom a bearer token is for. */
export interface NewBearer {
  readonly kind: BearerRow['kind']
  readonly name: string
  readonly user: string
  /** Milliseconds since 1970; `null`: does not expire. */
  readonly expiresAt: number | null
  /** Where it was asked for; left out: not to be kept. */
  readonly address?: string
}

/** Bearer tokens, of which only the hash is kept: those of login sessions, and API tokens. */
export class Bearers {
  readonly #database: Kysely<Schema>
  readonly #clock: Clock
  readonly #limits: SessionLimits

  constructor(database: Kysely<Schema>, clock: Clock, limits: SessionLimits = defaultSessionLimits) {
    this.#database = database
    this.#clock = clock
    this.#limits = limits
  }

  /** Makes a token. This is the only time that it is seen. */
  async create(
    transaction: Transaction<Schema>,
    { kind, name, user, expiresAt, address }: NewBearer,
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
      address: address ?? null,
    }
    await transaction.insertInto('bearer').values(row).execute()
    return { token, row }
  }

  /**
   * Who shows `token`, with the permissions that the user has now; `null`: nobody that we know (any more). Throws
   * `not-logged-in` where there is more to say to whoever has it: nobody used the session for too long, or the user's source
   * does not vouch for them now.
   */
  async authenticate(token: string): Promise<Caller | null> {
    if (!tokenForm.test(token)) return null
    const found = await this.#find('token_sha256', hashOf(token))
    if (found instanceof ControlPlaneError) throw found
    return found
  }

  /** `caller` as they are now; `null`: their token does not work any more. It counts as use of a session. */
  async refresh(caller: Caller): Promise<Caller | null> {
    const found = await this.#find('id', caller.bearer.id)
    return found instanceof ControlPlaneError ? null : found
  }

  /** Makes a token worthless. Whether it was there. */
  async remove(transaction: Kysely<Schema>, id: string): Promise<boolean> {
    const { numDeletedRows } = await transaction.deleteFrom('bearer').where('id', '=', id).executeTakeFirst()
    return numDeletedRows > 0n
  }

  async #find(column: 'token_sha256' | 'id', value: string): Promise<Caller | ControlPlaneError | null> {
    const found = await this.#database
      .selectFrom('bearer')
      .select(['id', 'kind', 'created_at', 'expires_at', 'last_used_at', 'user_name'])
      .where(column, '=', value)
      .executeTakeFirst()
    const now = this.#clock()
    if (found === undefined || (found.expires_at !== null && found.expires_at <= now)) return null
    if (isIdle(found, now, this.#limits)) return sessionIdle(this.#limits)
    const { id, kind, user_name: name } = found
    const trouble = await standingOf(this.#database, name, kind, now)
    if (trouble !== null) return trouble
    await this.#noteUse(found, now)
    const grants = await Grants.read(this.#database, name)
    const lacks = kind === 'session' && (await lacksSecondFactor(this.#database, name, grants))
    return callerOf(name, grants, { id, kind }, lacks)
  }

  /** Not at each request: requests that come at once write once, too. */
  async #noteUse({ id, last_used_at }: Pick<BearerRow, 'id' | 'last_used_at'>, now: number): Promise<void> {
    const before = now - lastUsedStepMs
    if (last_used_at !== null && last_used_at > before) return
    await this.#database
      .updateTable('bearer')
      .set({ last_used_at: now })
      .where('id', '=', id)
      .where((where) => where.or([where('last_used_at', 'is', null), where('last_used_at', '<=', before)]))
      .execute()
  }
}

function sessionIdle({ idleMs }: SessionLimits): ControlPlaneError {
  const message = `nobody used this session for ${idleMs / 60_000} minutes, so it is over: log in again`
  return new ControlPlaneError('not-logged-in', message)
}

/** Whoever has these permissions. */
function callerOf(name: string, grants: Grants, bearer: Caller['bearer'], lacksSecondFactor: boolean): Caller {
  const own = grants.all.find(({ object, to }) => object.kind === 'root' && to.kind === 'user')
  return {
    name,
    role: own?.role ?? null,
    privileges: grants.privilegesOn(rootPath),
    grants,
    can: (privilege: Privilege, on: ObjectPath) => grants.can(privilege, on),
    canSomewhere: (privilege: Privilege) => grants.canSomewhere(privilege),
    grantedOn: grants.all.map(({ object }) => object),
    lacksSecondFactor,
    bearer,
  }
}

const hashOf = (token: string) => createHash('sha256').update(token, 'utf8').digest('hex')
