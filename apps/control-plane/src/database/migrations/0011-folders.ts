import { type Kysely, sql } from 'kysely'

/** Folders of VMs. VMs that were there lie under the root. */
export async function addFolders(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('folder')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('parent_id', 'text', (column) => column.references('folder.id'))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  // Two nulls are not equal in SQL, so siblings under the root need a word that is.
  await sql`create unique index folder_by_name on folder (coalesce(parent_id, ''), name)`.execute(db)
  await db.schema
    .alterTable('vm')
    .addColumn('folder_id', 'text', (column) => column.references('folder.id'))
    .execute()
  await db.schema.createIndex('vm_by_folder').on('vm').column('folder_id').execute()
}
