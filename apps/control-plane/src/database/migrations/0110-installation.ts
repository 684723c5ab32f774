import { type Kysely, sql } from 'kysely'
import { v7 } from 'uuid'

/** Who this installation is, so that of two copies of it the older one can be told. */
export async function nameInstallation(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('installation')
    .addColumn('id', 'integer', (column) => column.primaryKey().check(sql`id = 1`))
    .addColumn('installation_id', 'text', (column) => column.notNull())
    .addColumn('epoch', 'bigint', (column) => column.notNull())
    .addColumn('restored_at', 'bigint')
    .addColumn('restored_from', 'bigint')
    .addColumn('on_hold', 'integer', (column) => column.notNull().check(sql`on_hold in (0, 1)`))
    .execute()
  await sql`insert into installation (id, installation_id, epoch, on_hold) values (1, ${v7()}, 1, 0)`.execute(db)
}
