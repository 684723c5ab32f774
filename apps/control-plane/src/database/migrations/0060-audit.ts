import { auditStartHash } from '@cryptvisor/control-plane-api'
import { type Kysely, sql } from 'kysely'

/** The audit: records in a chain, its one signed head, and the checkpoints that stand for records that were removed. */
export async function createAudit(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('audit')
    .addColumn('position', 'bigint', (column) => column.primaryKey())
    .addColumn('time', 'bigint', (column) => column.notNull())
    .addColumn('kind', 'text', (column) => column.notNull().check(sql`kind in ('request', 'event', 'key')`))
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('address', 'text')
    .addColumn('session', 'text')
    .addColumn('operation', 'text', (column) => column.notNull())
    .addColumn('object', 'text', (column) => column.notNull())
    .addColumn('privilege', 'text')
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('request_id', 'text')
    .addColumn('provider', 'text')
    .addColumn('key_id', 'text')
    .addColumn('task_id', 'text')
    .addColumn('text', 'text')
    .addColumn('hash', 'text', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('audit_by_user').on('audit').columns(['user_name', 'position']).execute()
  await db.schema.createIndex('audit_by_key').on('audit').columns(['key_id', 'position']).execute()
  await db.schema.createIndex('audit_by_time').on('audit').column('time').execute()
  await db.schema
    .createTable('audit_head')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('position', 'bigint', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('time', 'bigint', (column) => column.notNull())
    .addColumn('broken_at', 'bigint')
    .addColumn('signature', 'text')
    .execute()
  await sql`insert into audit_head (id, position, hash, time) values (1, 0, ${auditStartHash}, 0)`.execute(db)
  await db.schema
    .createTable('audit_checkpoint')
    .addColumn('position', 'bigint', (column) => column.primaryKey())
    .addColumn('hash', 'text', (column) => column.notNull())
    .addColumn('time', 'bigint', (column) => column.notNull())
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('signature', 'text', (column) => column.notNull())
    .execute()
}
