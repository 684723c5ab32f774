import { type Kysely, sql } from 'kysely'
import { v7 } from 'uuid'

/** Users as this step finds them, and permissions as it makes them. */
interface Tables {
  user: { name: string; role_name: string; created_at: number }
  permission: {
    id: string
    object_kind: string
    object_id: string
    user_name: string | null
    group_name: string | null
    role_name: string
    propagate: number
    created_at: number
  }
}

/** Groups, and permissions on objects. The role that a user had everywhere becomes a permission on the root. */
export async function addPermissions(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('user_group')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('description', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('group_member')
    .addColumn('group_name', 'text', (column) => column.notNull().references('user_group.name').onDelete('cascade'))
    .addColumn('user_name', 'text', (column) => column.notNull().references('user.name').onDelete('cascade'))
    .addPrimaryKeyConstraint('group_member_primary', ['group_name', 'user_name'])
    .execute()
  await db.schema.createIndex('group_member_by_user').on('group_member').column('user_name').execute()
  await db.schema
    .createTable('permission')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('object_kind', 'text', (column) => column.notNull())
    .addColumn('object_id', 'text', (column) => column.notNull())
    .addColumn('user_name', 'text', (column) => column.references('user.name').onDelete('cascade'))
    .addColumn('group_name', 'text', (column) => column.references('user_group.name').onDelete('cascade'))
    .addColumn('role_name', 'text', (column) => column.notNull().references('role.name'))
    .addColumn('propagate', 'integer', (column) => column.notNull().check(sql`propagate in (0, 1)`))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('permission_of_user', ['user_name', 'object_kind', 'object_id'])
    .addUniqueConstraint('permission_of_group', ['group_name', 'object_kind', 'object_id'])
    .addCheckConstraint('permission_of_one', sql`(user_name is null) <> (group_name is null)`)
    .execute()
  await db.schema.createIndex('permission_by_object').on('permission').columns(['object_kind', 'object_id']).execute()
  await db.schema.createIndex('permission_by_role').on('permission').column('role_name').execute()
  await moveRoles(db)
}

async function moveRoles(db: Kysely<unknown>): Promise<void> {
  // The schema of this step, which later ones may change.
  const tables = db as Kysely<Tables>
  for (const { name, role_name, created_at } of await tables.selectFrom('user').selectAll().execute()) {
    await tables
      .insertInto('permission')
      .values({
        id: v7(),
        object_kind: 'root',
        object_id: 'root',
        user_name: name,
        group_name: null,
        role_name,
        propagate: 1,
        created_at,
      })
      .execute()
  }
  await db.schema.dropIndex('user_by_role').execute()
  await db.schema.alterTable('user').dropColumn('role_name').execute()
}
