import { type Kysely, sql } from 'kysely'

/** When a key was retired, which VMs each key ever served, and what users ask to be done to keys. */
export async function addKeyLives(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('key').addColumn('retired_at', 'bigint').execute()
  await db.schema
    .createTable('vm_key')
    .addColumn('vm_id', 'text', (column) => column.notNull())
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('vm_key_primary', ['vm_id', 'provider', 'key_id'])
    .execute()
  await db.schema.createIndex('vm_key_by_key').on('vm_key').columns(['provider', 'key_id']).execute()
  await db.schema
    .createTable('key_order')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull().check(sql`action in ('revoke', 'destroy')`))
    .addColumn('cause', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('due_at', 'bigint', (column) => column.notNull())
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('approved_by', 'text')
    .addColumn('approval_id', 'text')
    .addColumn('reason', 'text')
    .addColumn('impact', 'text')
    .addColumn('problem', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_at', 'bigint')
    .execute()
  await db.schema.createIndex('key_order_by_state').on('key_order').columns(['state', 'due_at']).execute()
  await db.schema
    .createIndex('key_order_open')
    .unique()
    .on('key_order')
    .columns(['provider', 'key_id'])
    .where(sql.ref('ended_at'), 'is', null)
    .execute()
  await recordPastUse(db)
}

interface OldSchema {
  key: { provider: string; key_id: string; owner_kind: string; owner_id: string; state: string }
  vm: { id: string; encryption: string | null }
  disk: { vm_id: string; encryption: string | null }
  vm_key: { vm_id: string; provider: string; key_id: string }
}

/** What the owners of keys and today's records tell. */
async function recordPastUse(untyped: Kysely<unknown>): Promise<void> {
  // The tables as they are at this step.
  const db = untyped as Kysely<OldSchema>
  const owned = await db
    .selectFrom('key')
    .select(['owner_id as vm_id', 'provider', 'key_id'])
    .where('owner_kind', '=', 'vm')
    .where('state', 'in', ['current', 'retired'])
    .execute()
  const homes = await db
    .selectFrom('vm')
    .select(['id as vm_id', 'encryption'])
    .where('encryption', 'is not', null)
    .execute()
  const disks = await db
    .selectFrom('disk')
    .select(['vm_id', 'encryption'])
    .where('encryption', 'is not', null)
    .execute()
  const used = [...homes, ...disks].flatMap(({ vm_id, encryption }) => {
    // Written by the control plane from an `EncryptionAuthority`.
    const { keys } = JSON.parse(encryption ?? '{"keys":[]}') as { keys: { provider: string; keyId: string }[] }
    return keys.map(({ provider, keyId }) => ({ vm_id, provider, key_id: keyId }))
  })
  for (const row of [...owned, ...used]) {
    await db
      .insertInto('vm_key')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute()
  }
}
