import { type Kysely, sql } from 'kysely'

/** Rekey campaigns, their runs, and the VMs of each run. */
export async function createCampaigns(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('campaign')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('plan', 'text', (column) => column.notNull())
    .addColumn('paused', 'integer', (column) => column.notNull().check(sql`paused in (0, 1)`))
    .addColumn('created_by', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('next_run_at', 'bigint')
    .execute()
  await db.schema
    .createTable('campaign_run')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('campaign_id', 'text', (column) => column.notNull().references('campaign.id').onDelete('cascade'))
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('running', 'done', 'cancelled', 'stopped')`),
    )
    .addColumn('started_by', 'text', (column) => column.notNull())
    .addColumn('started_at', 'bigint', (column) => column.notNull())
    .addColumn('ended_at', 'bigint')
    .addColumn('waits_for', 'text')
    .addColumn('trouble_until', 'bigint')
    .addColumn('trouble_count', 'integer', (column) => column.notNull())
    .addUniqueConstraint('campaign_run_number', ['campaign_id', 'number'])
    .execute()
  await db.schema
    .createTable('campaign_item')
    .addColumn('run_id', 'text', (column) => column.notNull().references('campaign_run.id').onDelete('cascade'))
    .addColumn('vm_id', 'text', (column) => column.notNull())
    .addColumn('vm_name', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('pending', 'running', 'done', 'failed', 'skipped')`),
    )
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('tries', 'integer', (column) => column.notNull())
    .addColumn('retry_at', 'bigint', (column) => column.notNull())
    .addColumn('task_id', 'text')
    .addColumn('held', 'integer', (column) => column.notNull().defaultTo(0).check(sql`held in (0, 1)`))
    .addColumn('old_keys', 'text', (column) => column.notNull())
    .addColumn('new_provider', 'text')
    .addColumn('new_key_id', 'text')
    .addPrimaryKeyConstraint('campaign_item_primary', ['run_id', 'vm_id'])
    .execute()
  await db.schema.createIndex('campaign_item_by_state').on('campaign_item').columns(['run_id', 'state']).execute()
}
