import type {
  KeyProvider as KeyProviderView,
  ProviderChoice,
  ProviderDefaults,
  SetDefaultProvider,
} from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { ProviderDefaultRow } from '../../database/provider-rows.ts'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import type { EventLog } from '../events.ts'
import { FolderTree } from '../inventory/folder-tree.ts'
import type { Principal } from '../ports.ts'
import type { ProviderRegistry } from '../provider-registry.ts'
import { isRehearsed } from '../rehearsal.ts'
import { nativeView, notBackedUp } from './native/native-state.ts'
import { defaultProvider, requireDefault } from './provider-choice.ts'
import type { ProviderHealth } from './provider-health.ts'
import { findProviderRow } from './provider-rows.ts'

/** An entity that may have a default of its own. */
export type Entity = NonNullable<SetDefaultProvider['entity']>

/** Which provider is asked for keys where nobody names one: for the system, and for clusters and folders in it. */
export class DefaultProviders {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #registry: ProviderRegistry
  readonly #health: ProviderHealth

  constructor(database: Kysely<Schema>, events: EventLog, registry: ProviderRegistry, health: ProviderHealth) {
    this.#database = database
    this.#events = events
    this.#registry = registry
    this.#health = health
  }

  /** All that are set. */
  async list(): Promise<ProviderDefaults> {
    const system = await this.#database
      .selectFrom('key_provider')
      .select('name')
      .where('is_default', '=', 1)
      .executeTakeFirst()
    const rows = await this.#database.selectFrom('provider_default').selectAll().execute()
    const entities = await Promise.all(
      rows.map(async ({ entity_kind, entity_id, provider }) => {
        const name = await entityName(this.#database, entity_kind, entity_id)
        return name === null ? null : { kind: entity_kind, name, provider }
      }),
    )
    return {
      system: system?.name ?? null,
      entities: entities.filter((entity) => entity !== null).toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    }
  }

  /**
   * Makes a provider the default of an entity, or of the system. One whose keys cannot be had now is refused, unless
   * forced: what is encrypted with it would be locked after the next restart. Throws `not-found`, `kms-unreachable`.
   */
  async set(name: string, { entity, force }: SetDefaultProvider, by: Principal): Promise<KeyProviderView> {
    const id = entity === undefined ? null : await entityId(this.#database, entity)
    await findProviderRow(this.#database, name)
    if ((await nativeView(this.#database, name))?.isBackedUp === false) {
      throw new ControlPlaneError('in-use', `key provider ${name} cannot be a default: ${notBackedUp(name)}`)
    }
    if (force !== true) await this.#requireKeys(name)
    if (entity === undefined || id === null) return this.#registry.setDefault(name, by)
    await this.#events.transaction(async (transaction, record) => {
      await findProviderRow(transaction, name)
      const row: ProviderDefaultRow = { entity_kind: entity.kind, entity_id: id, provider: name }
      await transaction
        .insertInto('provider_default')
        .values(row)
        .onConflict((conflict) => conflict.columns(['entity_kind', 'entity_id']).doUpdateSet({ provider: name }))
        .execute()
      await record({
        type: 'key-provider.default-changed',
        provider: name,
        text: `key provider ${name} is the default of ${entity.kind} ${entity.name} now`,
        user: by.name,
      })
    })
    return this.#registry.show(name)
  }

  /** From now on the entity has no default of its own; the system has none at all. One that has none is fine. Throws `not-found`. */
  async clear(entity: Entity | undefined, by: Principal): Promise<void> {
    const id = entity === undefined ? null : await entityId(this.#database, entity)
    await this.#events.transaction(async (transaction, record) => {
      const cleared =
        entity === undefined || id === null
          ? await transaction
              .updateTable('key_provider')
              .set({ is_default: 0 })
              .where('is_default', '=', 1)
              .returning('name as provider')
              .executeTakeFirst()
          : await transaction
              .deleteFrom('provider_default')
              .where('entity_kind', '=', entity.kind)
              .where('entity_id', '=', id)
              .returning('provider')
              .executeTakeFirst()
      if (cleared === undefined) return
      const what = entity === undefined ? 'the system' : `${entity.kind} ${entity.name}`
      await record({
        type: 'key-provider.default-changed',
        provider: cleared.provider,
        text: `${what} has no default key provider of its own any more`,
        user: by.name,
      })
    })
  }

  /** The provider that would be asked for a new key of a VM, by name or ID. Throws `not-found`, `no-key-provider`. */
  async chooseForVm(nameOrId: string): Promise<ProviderChoice> {
    const vm = await this.#database
      .selectFrom('vm')
      .innerJoin('host', 'host.id', 'vm.host_id')
      .innerJoin('policy', 'policy.id', 'vm.policy_id')
      .select(['vm.folder_id', 'host.cluster_id', 'policy.name as policy', 'policy.key_provider'])
      .where((where) => where.or([where('vm.id', '=', nameOrId), where('vm.name', '=', nameOrId)]))
      .executeTakeFirst()
    if (vm === undefined) {
      throw new ControlPlaneError('not-found', `there is no VM ${nameOrId}: see «vm list»`, { field: 'vm' })
    }
    if (vm.key_provider !== null) {
      return { provider: vm.key_provider, from: 'policy', text: `the storage policy «${vm.policy}» of the VM says so` }
    }
    return requireDefault(await defaultProvider(this.#database, { clusterId: vm.cluster_id, folderId: vm.folder_id }))
  }

  /** Throws `kms-unreachable` when a key cannot be made and read back now. */
  async #requireKeys(name: string): Promise<void> {
    // A dry run asks no key server for anything: what was found last has to do.
    const status = isRehearsed() ? await this.#health.providerHealth(name) : await this.#health.probe(name)
    if (status === null || status.health !== 'red') return
    throw new ControlPlaneError(
      'kms-unreachable',
      `key provider ${name} is not made the default, since its keys cannot be had now (${status.text}): mend that first, or use --force`,
    )
  }
}

async function entityId(database: Kysely<Schema>, { kind, name }: Entity): Promise<string> {
  if (kind === 'folder') {
    const folder = (await FolderTree.read(database)).find(name, 'entity')
    if (folder !== null) return folder.id
    throw new ControlPlaneError('invalid', 'entity: the root has the default of the system: leave the folder out', {
      field: 'entity',
    })
  }
  const row = await database.selectFrom('cluster').select('id').where('name', '=', name).executeTakeFirst()
  if (row !== undefined) return row.id
  throw new ControlPlaneError('not-found', `entity: there is no cluster ${name}: see «cluster list»`, {
    field: 'entity',
  })
}

/** `null` for one that is gone. */
async function entityName(database: Kysely<Schema>, kind: Entity['kind'], id: string): Promise<string | null> {
  if (kind === 'folder') {
    const tree = await FolderTree.read(database)
    return tree.has(id) ? tree.nameOf(id) : null
  }
  const row = await database.selectFrom('cluster').select('name').where('id', '=', id).executeTakeFirst()
  return row?.name ?? null
}
