import type { Key, KeyUser } from '@cryptvisor/control-plane-api'
import type { KeyDescription } from '@cryptvisor/key-provider'
import type { KeyRow } from '../../../database/schema.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { findProvider } from '../vms/lookup.ts'
import type { Kms, Purpose } from './kms.ts'
import { keyUsers } from './usage/key-usage.ts'

export interface KeyQuery {
  /** The default provider when it is left out. */
  readonly provider?: string
  readonly offset?: number
  readonly limit?: number
}

const dayMs = 86_400_000

/** What the database knows of a key. */
interface KnownKey {
  readonly row: KeyRow | null
  readonly users: readonly KeyUser[]
  /** When it is going to be destroyed. */
  readonly destroyAt: number | null
}

const unknownKey: KnownKey = { row: null, users: [], destroyAt: null }

const limitDefault = 100

/** Shows keys: what the provider tells of them under the control plane's own identity, and what they are used for. */
export class KeyDirectory {
  readonly #work: WorkContext
  readonly #kms: Kms

  constructor(work: WorkContext, kms: Kms) {
    this.#work = work
    this.#kms = kms
  }

  async list(query: KeyQuery, principal: Principal): Promise<Key[]> {
    const provider = await findProvider(this.#work.database, query.provider, 'provider')
    const range = { offset: query.offset ?? 0, limit: query.limit ?? limitDefault }
    const found = await this.#kms.list(provider, range, purposeOf(principal))
    const known = await this.#known(
      provider,
      found.map(({ keyId }) => keyId),
    )
    return found.map((description) => this.#view(provider, description, known.get(description.keyId) ?? unknownKey))
  }

  /** Throws `not-found` for a key that neither the provider nor the database has. */
  async show(providerName: string, keyId: string, principal: Principal): Promise<Key> {
    const provider = await findProvider(this.#work.database, providerName, 'provider')
    const found = await this.#kms.describe({ provider, keyId }, purposeOf(principal))
    const known = (await this.#known(provider, [keyId])).get(keyId) ?? unknownKey
    if (found !== null) return this.#view(provider, found, known)
    if (known.row === null && known.users.length === 0) {
      throw new ControlPlaneError('not-found', `key provider ${provider} has no key ${keyId}: see «keys list»`, {
        field: 'keyId',
      })
    }
    const gone = { keyId, state: null, objectType: null, algorithm: null, lengthBits: null, attributes: [] }
    return this.#view(provider, gone, known)
  }

  async #known(provider: string, keyIds: readonly string[]): Promise<ReadonlyMap<string, KnownKey>> {
    if (keyIds.length === 0) return new Map()
    const { database } = this.#work
    const rows = await database
      .selectFrom('key')
      .selectAll()
      .where('provider', '=', provider)
      .where('key_id', 'in', keyIds)
      .execute()
    const orders = await database
      .selectFrom('key_order')
      .select(['key_id', 'due_at'])
      .where('provider', '=', provider)
      .where('key_id', 'in', keyIds)
      .where('action', '=', 'destroy')
      .where('ended_at', 'is', null)
      .execute()
    const keys = keyIds.map((keyId) => ({ provider, keyId }))
    const users = Map.groupBy(await keyUsers(database, { keys }), ({ key }) => key.keyId)
    const byId = new Map(rows.map((row) => [row.key_id, row]))
    const dueById = new Map(orders.map(({ key_id, due_at }) => [key_id, due_at]))
    return new Map(
      keyIds.map((keyId) => [
        keyId,
        { row: byId.get(keyId) ?? null, users: users.get(keyId) ?? [], destroyAt: dueById.get(keyId) ?? null },
      ]),
    )
  }

  #view(provider: string, description: KeyDescription, known: KnownKey): Key {
    const { row, users, destroyAt } = known
    const owners = new Map(users.map(({ owner }) => [owner.id, owner]))
    return {
      provider,
      keyId: description.keyId,
      state: description.state,
      objectType: description.objectType,
      algorithm: description.algorithm === null ? null : String(description.algorithm),
      lengthBits: description.lengthBits,
      attributes: description.attributes.map(({ name, index, type, value }) => ({ name, index, type, value })),
      usedBy: [...owners.values()],
      record:
        row === null
          ? null
          : {
              state: row.state,
              createdAt: timeText(row.created_at),
              retiredAt: row.state === 'retired' ? timeTextOrNull(row.retired_at) : null,
              ageDays: Math.max(0, Math.floor((this.#work.clock() - row.created_at) / dayMs)),
            },
      destroyAt: timeTextOrNull(destroyAt),
      orphan: isOrphan(description, known),
    }
  }
}

function purposeOf(principal: Principal): Purpose {
  return { host: null, vm: null, user: principal.name, task: null }
}

/**
 * Nothing here knows what the key is for. One that says so itself by its label `x-Identifier` is none: it may belong to
 * a database that was lost. Nor is one that wrapped something once.
 */
function isOrphan(description: KeyDescription, { row, users }: KnownKey): boolean {
  if (users.length > 0) return false
  if (row === null) return !description.attributes.some(({ name }) => name === 'x-Identifier')
  return row.state === 'discarded' || row.state === 'destroyed'
}
