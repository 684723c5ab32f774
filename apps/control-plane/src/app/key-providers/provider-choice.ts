import type { ProviderChoice } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import type { Schema } from '../../database/schema.ts'
import { ControlPlaneError } from '../control-plane-error.ts'
import { FolderTree } from '../inventory/folder-tree.ts'

/** Where something lies that needs a key; `null` or left out: nowhere that has a default of its own. */
export interface Whereabouts {
  readonly clusterId?: string | null
  readonly folderId?: string | null
}

/** The provider that is asked for a key where no request and no policy names one: the nearest default. `null`: there is none. */
export async function defaultProvider(
  database: Kysely<Schema>,
  { clusterId = null, folderId = null }: Whereabouts,
): Promise<ProviderChoice | null> {
  const ofFolder = folderId === null ? null : await folderDefault(database, folderId)
  if (ofFolder !== null) return ofFolder
  if (clusterId !== null) {
    const found = await database
      .selectFrom('provider_default')
      .innerJoin('cluster', 'cluster.id', 'provider_default.entity_id')
      .select(['provider_default.provider', 'cluster.name'])
      .where('entity_kind', '=', 'cluster')
      .where('entity_id', '=', clusterId)
      .executeTakeFirst()
    if (found !== undefined) {
      const { provider, name } = found
      return { provider, from: 'cluster', text: `the default of cluster ${name}` }
    }
  }
  const system = await database.selectFrom('key_provider').select('name').where('is_default', '=', 1).executeTakeFirst()
  return system === undefined
    ? null
    : { provider: system.name, from: 'system', text: 'the default of the whole system' }
}

/** The default of the folder, or of the nearest one around it that has one. */
async function folderDefault(database: Kysely<Schema>, folderId: string): Promise<ProviderChoice | null> {
  const rows = await database.selectFrom('provider_default').selectAll().where('entity_kind', '=', 'folder').execute()
  if (rows.length === 0) return null
  const path = (await FolderTree.read(database)).pathOf(folderId)
  for (const { id, name } of path) {
    const found = rows.find(({ entity_id }) => entity_id === id)
    if (found !== undefined) {
      return { provider: found.provider, from: 'folder', text: `the default of folder ${name}` }
    }
  }
  return null
}

/** Throws `no-key-provider`, saying how to get one. */
export function requireDefault(choice: ProviderChoice | null): ProviderChoice {
  if (choice !== null) return choice
  throw new ControlPlaneError(
    'no-key-provider',
    'there is no default key provider to ask for a key: add one with «key-provider add», choose one with «key-provider default set», or name one',
  )
}
