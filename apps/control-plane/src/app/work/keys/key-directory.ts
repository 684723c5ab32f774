import type { Key } from '@cryptvisor/control-plane-api'
import type { KeyDescription } from '@cryptvisor/key-provider'
import type { KeyRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { Principal } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import { findProvider } from '../vms/lookup.ts'
import type { Kms, Purpose } from './kms.ts'

export interface KeyQuery {
  /** The default provider when it is left out. */
  readonly provider?: string
  readonly offset?: number
  readonly limit?: number
}

/** A key's row, with whether its owner is still there. */
type KnownKey = KeyRow & { readonly ownerThere: boolean }

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
    return found.map((description) => keyView(provider, description, known.get(description.keyId) ?? null))
  }

  /** Throws `not-found` for a key that neither the provider nor the database has. */
  async show(providerName: string, keyId: string, principal: Principal): Promise<Key> {
    const provider = await findProvider(this.#work.database, providerName, 'provider')
    const found = await this.#kms.describe({ provider, keyId }, purposeOf(principal))
    const known = (await this.#known(provider, [keyId])).get(keyId) ?? null
    if (found !== null) return keyView(provider, found, known)
    if (known === null) {
      throw new ControlPlaneError('not-found', `key provider ${provider} has no key ${keyId}: see «keys list»`, {
        field: 'keyId',
      })
    }
    const gone = { keyId, state: null, objectType: null, algorithm: null, lengthBits: null, attributes: [] }
    return keyView(provider, gone, known)
  }

  async #known(provider: string, keyIds: readonly string[]): Promise<Map<string, KnownKey>> {
    if (keyIds.length === 0) return new Map()
    const rows = await this.#work.database
      .selectFrom('key')
      .leftJoin('vm', (join) => join.onRef('vm.id', '=', 'key.owner_id'))
      .leftJoin('host', (join) => join.onRef('host.id', '=', 'key.owner_id'))
      .selectAll('key')
      .select(['vm.id as vm_id', 'host.id as host_id'])
      .where('key.provider', '=', provider)
      .where('key.key_id', 'in', keyIds)
      .execute()
    return new Map(
      rows.map(({ vm_id, host_id, ...row }) => [
        row.key_id,
        { ...row, ownerThere: vm_id !== null || host_id !== null },
      ]),
    )
  }
}

function purposeOf(principal: Principal): Purpose {
  return { host: null, vm: null, user: principal.name, task: null }
}

function keyView(provider: string, description: KeyDescription, known: KnownKey | null): Key {
  const user = known?.ownerThere === true && (known.state === 'current' || known.state === 'pending') ? known : null
  return {
    provider,
    keyId: description.keyId,
    state: description.state,
    objectType: description.objectType,
    algorithm: description.algorithm === null ? null : String(description.algorithm),
    lengthBits: description.lengthBits,
    attributes: description.attributes.map(({ name, index, type, value }) => ({ name, index, type, value })),
    usedBy: user === null ? [] : [{ kind: user.owner_kind, id: user.owner_id, name: user.owner_name }],
    orphan: isOrphan(description, known),
  }
}

/**
 * Nothing here knows what the key is for. One that says so itself by its label `x-Identifier` is none: it may belong to
 * a database that was lost. Nor is one that wrapped something once.
 */
function isOrphan(description: KeyDescription, known: KnownKey | null): boolean {
  if (known === null) return !description.attributes.some(({ name }) => name === 'x-Identifier')
  return known.state === 'discarded' || known.state === 'destroyed'
}
