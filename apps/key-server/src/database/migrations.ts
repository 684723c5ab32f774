import type { Migration } from '@cryptvisor/sqlite'

/** The steps that make the schema. New ones go to the end; those that were released never change. */
export const migrations: readonly Migration[] = [
  {
    name: '0001-sealed',
    up: async ({ schema }) => {
      for (const table of ['keyring', 'wrapping_key', 'sealed_value']) {
        await schema
          .createTable(table)
          .addColumn('id', 'text', (column) => column.primaryKey())
          .addColumn('bytes', 'bytea', (column) => column.notNull())
          .execute()
      }
    },
  },
  {
    name: '0002-object',
    up: async ({ schema }) => {
      await schema
        .createTable('object')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('owner', 'text', (column) => column.notNull())
        .addColumn('object_type', 'text', (column) => column.notNull())
        .addColumn('format', 'text', (column) => column.notNull())
        .addColumn('attributes', 'bytea', (column) => column.notNull())
        .addColumn('next_indexes', 'text', (column) => column.notNull())
        .addColumn('is_destroyed', 'integer', (column) => column.notNull())
        .execute()
      await schema.createIndex('object_by_owner').on('object').columns(['owner', 'is_destroyed', 'id']).execute()
      await schema
        .createTable('object_key')
        .addColumn('object_key', 'text', (column) => column.notNull())
        .addColumn('object_id', 'text', (column) => column.notNull().references('object.id'))
        .addPrimaryKeyConstraint('object_key_primary', ['object_key', 'object_id'])
        .execute()
      await schema.createIndex('object_key_by_object').on('object_key').column('object_id').execute()
    },
  },
  {
    name: '0003-audit',
    up: async ({ schema }) => {
      await schema
        .createTable('audit')
        .addColumn('position', 'bigint', (column) => column.primaryKey())
        .addColumn('time_ms', 'bigint', (column) => column.notNull())
        .addColumn('client', 'text', (column) => column.notNull())
        .addColumn('certificate_fingerprint', 'text', (column) => column.notNull())
        .addColumn('address', 'text', (column) => column.notNull())
        .addColumn('protocol_version', 'text')
        .addColumn('operation', 'text')
        .addColumn('object_id', 'text')
        .addColumn('result_status', 'text', (column) => column.notNull())
        .addColumn('result_reason', 'text')
        .addColumn('hash', 'text', (column) => column.notNull())
        .execute()
      await schema.createIndex('audit_by_client').on('audit').columns(['client', 'position']).execute()
      await schema.createIndex('audit_by_object').on('audit').columns(['object_id', 'position']).execute()
    },
  },
  {
    name: '0004-certificate',
    up: async ({ schema }) => {
      await schema
        .createTable('certificate')
        .addColumn('fingerprint', 'text', (column) => column.primaryKey())
        .addColumn('role', 'text', (column) => column.notNull())
        .addColumn('name', 'text', (column) => column.notNull())
        .addColumn('serial_number', 'text', (column) => column.notNull())
        .addColumn('issued_ms', 'bigint', (column) => column.notNull())
        .addColumn('not_after_ms', 'bigint', (column) => column.notNull())
        .addColumn('revoked_ms', 'bigint')
        .execute()
      await schema.createIndex('certificate_by_name').on('certificate').columns(['role', 'name']).execute()
    },
  },
]
