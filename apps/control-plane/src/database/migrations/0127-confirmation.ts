import type { Kysely } from 'kysely'

/** API tokens of a source's users work as long as the source has confirmed the user not too long ago. */
export async function limitConfirmations(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('identity_source')
    .addColumn('confirm_days', 'integer', (column) => column.notNull().defaultTo(30))
    .execute()
}
