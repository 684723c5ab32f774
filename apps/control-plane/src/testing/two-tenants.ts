import type { Kysely } from 'kysely'
import { emptyContext } from '../app/work/tasks/task-context.ts'
import type { Schema } from '../database/schema.ts'

/** The two sides; everything of a side is called after it. */
export type Side = 'mine' | 'other'

export const vmOf = (side: Side) => `${side}-vm`
export const hostOf = (side: Side) => `${side}-host`
export const clusterOf = (side: Side) => `${side}-cluster`
export const datastoreOf = (side: Side) => `${side}-store`
export const policyOf = (side: Side) => `${side}-policy`
export const providerOf = (side: Side) => `${side}-kms`
export const folderOf = (side: Side) => `/${side}-folder`
export const taskOf = (side: Side) => `${side}-task`

/** One of each for each side: a cluster with host and datastore, a folder with a VM that a task is at, policy, provider. */
export async function fillTwoSides(database: Kysely<Schema>): Promise<void> {
  const plain = await database.selectFrom('policy').selectAll().where('encryption', '=', 0).executeTakeFirstOrThrow()
  for (const side of ['mine', 'other'] as const) {
    const cluster_id = `id-of-${clusterOf(side)}`
    await database
      .insertInto('cluster')
      .values({ id: cluster_id, name: clusterOf(side) })
      .execute()
    const datastore = { id: `id-of-${datastoreOf(side)}`, name: datastoreOf(side), cluster_id, path: `/srv/${side}` }
    await database.insertInto('datastore').values(datastore).execute()
    await database
      .insertInto('host')
      .values({
        ...{ id: `id-of-${hostOf(side)}`, name: hostOf(side), cluster_id, url: `https://${side}.invalid` },
        ...{ hardware_uuid: side, certificate_serial: side, certificate_expires_at: 0, version: null },
        ...{ last_seen_at: null, crypto_supported: 1, host_key_provider: null, host_key_id: null, created_at: 0 },
      })
      .execute()
    const folder = { id: `id-of-${side}-folder`, name: `${side}-folder`, parent_id: null, created_at: 0 }
    await database.insertInto('folder').values(folder).execute()
    const policy = { ...plain, id: `id-of-${policyOf(side)}`, name: policyOf(side), system: 0 }
    await database.insertInto('policy').values(policy).execute()
    const provider = { name: providerOf(side), is_default: 0, servers: '[]', server_ca: '', created_at: 0 }
    await database
      .insertInto('key_provider')
      .values({ ...provider, display_name: null })
      .execute()
    const vm = { id: `id-of-${vmOf(side)}`, name: vmOf(side) }
    await database
      .insertInto('vm')
      .values({
        ...vm,
        ...{ host_id: `id-of-${hostOf(side)}`, datastore_id: datastore.id, folder: vmOf(side), folder_id: folder.id },
        ...{ generation: 1, policy_id: plain.id, policy_version: plain.version, encryption: null, task_id: null },
        ...{ lock_state: 'unlocked', lock_text: null, lock_missing_keys: '[]', lock_cause: null, lock_since: null },
        created_at: 0,
      })
      .execute()
    await database
      .insertInto('task')
      .values({
        ...{ id: taskOf(side), type: 'vm.encrypt', target_kind: 'vm', target_id: vm.id, target_name: vm.name },
        ...{ state: 'success', step: 'done', done_bytes: 0, total_bytes: 0, key_provider: null, key_id: null },
        ...{ cancel_requested: 0, error_code: null, error_message: null, context: emptyContext, user_name: 'admin' },
        ...{ created_at: 0, started_at: 0, ended_at: 0 },
      })
      .execute()
  }
}
