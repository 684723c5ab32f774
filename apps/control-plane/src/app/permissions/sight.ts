import type { ObjectKind } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { within } from '../inventory/inventory-object.ts'
import { clusterPath, providerPath } from '../inventory/object-paths.ts'
import type { Principal } from '../ports.ts'
import { Scope } from './scope.ts'

/** Kinds of objects that keys are used by, and that texts name. */
type SeenKind = Extract<ObjectKind, 'vm' | 'host' | 'datastore' | 'key-provider'>

/** Such names stand in a text as one word. */
const plainName = /^[\p{L}\p{N}._-]*[\p{L}\p{N}_-]$/u

/**
 * What somebody may see (`System.Read`) of VMs, hosts, datastores and key providers, read at once: for answers that are about
 * many of them. What is not in the inventory any more is for who may see everything.
 */
export class Sight {
  /** Nothing is hidden. */
  readonly everything: boolean
  readonly #seen: ReadonlyMap<SeenKind, ReadonlySet<string>>
  readonly #words: ReadonlySet<string>
  readonly #phrases: readonly string[]

  private constructor(
    everything: boolean,
    seen: ReadonlyMap<SeenKind, ReadonlySet<string>>,
    hidden: readonly string[],
  ) {
    this.everything = everything
    this.#seen = seen
    this.#words = new Set(hidden.filter((name) => plainName.test(name)))
    this.#phrases = hidden.filter((name) => !plainName.test(name))
  }

  static async of(database: Kysely<Schema>, by: Principal, scope?: Scope): Promise<Sight> {
    const { everywhere, vmIds, hostIds } = scope ?? (await Scope.of(database, by, 'System.Read'))
    if (everywhere) return new Sight(true, new Map(), [])
    const named = {
      vm: await database.selectFrom('vm').select(['id', 'name']).execute(),
      host: await database.selectFrom('host').select(['id', 'name']).execute(),
    }
    const datastores = await database
      .selectFrom('datastore')
      .innerJoin('cluster', 'cluster.id', 'datastore.cluster_id')
      .select(['datastore.id', 'datastore.name', 'cluster.id as cluster_id', 'cluster.name as cluster'])
      .execute()
    const providers = await database.selectFrom('key_provider').select('name').execute()
    const seen = new Map<SeenKind, ReadonlySet<string>>([
      ['vm', new Set((await vmIds.execute()).map(({ id }) => id))],
      ['host', new Set((await hostIds.execute()).map(({ id }) => id))],
      [
        'datastore',
        new Set(
          datastores
            .filter(({ id, name, cluster_id, cluster }) =>
              by.can('System.Read', within({ kind: 'datastore', id, name }, clusterPath(cluster_id, cluster))),
            )
            .map(({ id }) => id),
        ),
      ],
      [
        'key-provider',
        new Set(providers.filter(({ name }) => by.can('System.Read', providerPath(name))).map(({ name }) => name)),
      ],
    ])
    const hidden = (['vm', 'host'] as const).flatMap((kind) =>
      named[kind].filter(({ id }) => seen.get(kind)?.has(id) !== true).map(({ name }) => name),
    )
    return new Sight(false, seen, hidden)
  }

  sees(kind: SeenKind, id: string): boolean {
    return this.everything || this.#seen.get(kind)?.has(id) === true
  }

  /** `text`, or `instead` where it names a VM or a host that is hidden. */
  textOf(text: string, instead: string): string {
    return this.#namesHidden(text) ? instead : text
  }

  #namesHidden(text: string): boolean {
    if (this.everything) return false
    const words = text.split(/[^\p{L}\p{N}._-]+/u).map((word) => word.replace(/\.+$/, ''))
    return words.some((word) => this.#words.has(word)) || this.#phrases.some((name) => text.includes(name))
  }
}

/** Such as « and 3 that you may not see»; nothing for none. */
export const hiddenText = (count: number): string =>
  count === 0 ? '' : ` and ${count} ${count === 1 ? 'use' : 'uses'} that you may not see`
