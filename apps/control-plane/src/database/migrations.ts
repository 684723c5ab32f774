import type { Migration } from '@cryptvisor/sqlite'
import { type Kysely, sql } from 'kysely'
import { letTasksHaveAnyTarget } from './migrations/0005-task-targets.ts'
import { createRequestKeys } from './migrations/0006-request-keys.ts'
import { renamePrivileges } from './migrations/0010-privileges.ts'
import { addFolders } from './migrations/0011-folders.ts'
import { addPermissions } from './migrations/0012-permissions.ts'
import { addObjectsOfEvents } from './migrations/0013-objects-of-events.ts'
import { addSessionAddresses } from './migrations/0014-session-addresses.ts'
import { createProviderTrust } from './migrations/0020-provider-trust.ts'
import { addNativeProviders } from './migrations/0030-native-providers.ts'
import { addWrappingKeys } from './migrations/0031-wrapping-keys.ts'
import { addPolicyRules } from './migrations/0040-policy-rules.ts'
import { createCompliance } from './migrations/0041-compliance.ts'
import { createDetachedDisks } from './migrations/0042-detached-disks.ts'
import { addDetachedDevices } from './migrations/0043-detached-devices.ts'
import { addHostStates } from './migrations/0050-hosts.ts'
import { createAudit } from './migrations/0060-audit.ts'
import { createAlarms } from './migrations/0061-alarms.ts'
import { createNotifications } from './migrations/0062-notifications.ts'
import { addKeyLives } from './migrations/0070-key-lives.ts'
import { addApprovals } from './migrations/0071-approvals.ts'
import { addErasures } from './migrations/0072-erasures.ts'
import { addErasing } from './migrations/0073-erasing.ts'
import { createCampaigns } from './migrations/0080-campaigns.ts'
import { addSecondFactors } from './migrations/0100-second-factor.ts'
import { nameInstallation } from './migrations/0110-installation.ts'
import { scheduleBackups } from './migrations/0111-backup-schedule.ts'
import { rememberUnregisteredVms } from './migrations/0112-unregistered-vms.ts'
import { addIdentitySources } from './migrations/0120-identity-sources.ts'
import { addKeyPersistence } from './migrations/0121-key-persistence.ts'
import { rememberAccountActs } from './migrations/0123-account-acts.ts'
import { keepHostKeyGaps } from './migrations/0124-host-key-gaps.ts'
import { rememberDirectoryHealth } from './migrations/0125-directory-health.ts'
import { limitConfirmations } from './migrations/0127-confirmation.ts'
import { addMachines } from './migrations/0130-machines.ts'

/** Every step of the control plane's schema, oldest first (`schema.ts` has the result). */
export const migrations: readonly Migration[] = [
  { name: '0001-control-plane', up: createTables },
  { name: '0002-login-failures', up: countFailuresByAddress },
  { name: '0003-sealed-for-a-while', up: letSealedValuesExpire },
  { name: '0004-thin-and-devices', up: addThinAndDevices },
  { name: '0005-task-targets', up: letTasksHaveAnyTarget },
  { name: '0006-request-keys', up: createRequestKeys },
  { name: '0010-privileges', up: renamePrivileges },
  { name: '0011-folders', up: addFolders },
  { name: '0012-permissions', up: addPermissions },
  { name: '0013-objects-of-events', up: addObjectsOfEvents },
  { name: '0014-session-addresses', up: addSessionAddresses },
  { name: '0020-provider-trust', up: createProviderTrust },
  { name: '0030-native-providers', up: addNativeProviders },
  { name: '0031-wrapping-keys', up: addWrappingKeys },
  { name: '0040-policy-rules', up: addPolicyRules },
  { name: '0041-compliance', up: createCompliance },
  { name: '0042-detached-disks', up: createDetachedDisks },
  { name: '0043-detached-devices', up: addDetachedDevices },
  { name: '0050-hosts', up: addHostStates },
  { name: '0060-audit', up: createAudit },
  { name: '0061-alarms', up: createAlarms },
  { name: '0062-notifications', up: createNotifications },
  { name: '0070-key-lives', up: addKeyLives },
  { name: '0071-approvals', up: addApprovals },
  { name: '0072-erasures', up: addErasures },
  { name: '0073-erasing', up: addErasing },
  { name: '0080-campaigns', up: createCampaigns },
  { name: '0100-second-factor', up: addSecondFactors },
  { name: '0110-installation', up: nameInstallation },
  { name: '0111-backup-schedule', up: scheduleBackups },
  { name: '0112-unregistered-vms', up: rememberUnregisteredVms },
  { name: '0120-identity-sources', up: addIdentitySources },
  { name: '0123-account-acts', up: rememberAccountActs },
  { name: '0124-host-key-gaps', up: keepHostKeyGaps },
  { name: '0127-confirmation', up: limitConfirmations },
  { name: '0121-key-persistence', up: addKeyPersistence },
  { name: '0125-directory-health', up: rememberDirectoryHealth },
  { name: '0130-machines', up: addMachines },
]

async function createTables(db: Kysely<unknown>): Promise<void> {
  await createInventory(db)
  await createTasks(db)
  await createVms(db)
  await createKeys(db)
  await createEvents(db)
  await createAccess(db)
}

async function createInventory(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('cluster')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .execute()
  await db.schema
    .createTable('host')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('cluster_id', 'text', (column) => column.notNull().references('cluster.id'))
    .addColumn('url', 'text', (column) => column.notNull())
    .addColumn('hardware_uuid', 'text', (column) => column.notNull())
    .addColumn('certificate_serial', 'text', (column) => column.notNull().unique())
    .addColumn('certificate_expires_at', 'bigint', (column) => column.notNull())
    .addColumn('version', 'text')
    .addColumn('last_seen_at', 'bigint')
    .addColumn('crypto_supported', 'integer', (column) => column.notNull().check(sql`crypto_supported in (0, 1)`))
    .addColumn('host_key_provider', 'text')
    .addColumn('host_key_id', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addCheckConstraint('host_key_whole', sql`(host_key_provider is null) = (host_key_id is null)`)
    .execute()
  await db.schema.createIndex('host_by_cluster').on('host').column('cluster_id').execute()
  await db.schema
    .createTable('enrolment_token')
    .addColumn('secret_sha256', 'text', (column) => column.primaryKey())
    .addColumn('host_name', 'text', (column) => column.notNull())
    .addColumn('cluster_id', 'text', (column) => column.notNull().references('cluster.id').onDelete('cascade'))
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('datastore')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('cluster_id', 'text', (column) => column.notNull().references('cluster.id'))
    .addColumn('path', 'text', (column) => column.notNull())
    .addUniqueConstraint('datastore_path', ['cluster_id', 'path'])
    .execute()
  await db.schema
    .createTable('policy')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('description', 'text', (column) => column.notNull())
    .addColumn('encryption', 'integer', (column) => column.notNull().check(sql`encryption in (0, 1)`))
    .execute()
}

async function createTasks(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('task')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('type', 'text', (column) => column.notNull())
    .addColumn('target_kind', 'text', (column) => column.notNull().check(sql`target_kind in ('vm', 'host')`))
    .addColumn('target_id', 'text', (column) => column.notNull())
    .addColumn('target_name', 'text', (column) => column.notNull())
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('queued', 'running', 'success', 'error', 'cancelled')`),
    )
    .addColumn('step', 'text', (column) => column.notNull())
    .addColumn('done_bytes', 'bigint', (column) => column.notNull())
    .addColumn('total_bytes', 'bigint', (column) => column.notNull())
    .addColumn('key_provider', 'text')
    .addColumn('key_id', 'text')
    .addColumn('cancel_requested', 'integer', (column) => column.notNull().check(sql`cancel_requested in (0, 1)`))
    .addColumn('error_code', 'text')
    .addColumn('error_message', 'text')
    .addColumn('context', 'text', (column) => column.notNull())
    .addColumn('user_name', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('started_at', 'bigint')
    .addColumn('ended_at', 'bigint')
    .execute()
  await db.schema.createIndex('task_by_state').on('task').columns(['state', 'created_at']).execute()
  await db.schema.createIndex('task_by_target').on('task').columns(['target_id', 'created_at']).execute()
}

/** A VM's name is unique over all clusters, its folder on its datastore, a disk's number on its VM. */
async function createVms(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('vm')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('name', 'text', (column) => column.notNull().unique())
    .addColumn('host_id', 'text', (column) => column.notNull().references('host.id'))
    .addColumn('datastore_id', 'text', (column) => column.notNull().references('datastore.id'))
    .addColumn('folder', 'text', (column) => column.notNull())
    .addColumn('generation', 'bigint', (column) => column.notNull())
    .addColumn('policy_id', 'text', (column) => column.notNull().references('policy.id'))
    .addColumn('encryption', 'text')
    .addColumn('lock_state', 'text', (column) =>
      column.notNull().check(sql`lock_state in ('unlocked', 'locked', 'unknown')`),
    )
    .addColumn('lock_text', 'text')
    .addColumn('lock_missing_keys', 'text', (column) => column.notNull())
    .addColumn('task_id', 'text', (column) => column.references('task.id').onDelete('set null'))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('vm_folder', ['datastore_id', 'folder'])
    .execute()
  await db.schema.createIndex('vm_by_host').on('vm').column('host_id').execute()
  await db.schema.createIndex('vm_by_task').on('vm').column('task_id').execute()
  await db.schema
    .createTable('disk')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('vm_id', 'text', (column) => column.notNull().references('vm.id').onDelete('cascade'))
    .addColumn('number', 'integer', (column) => column.notNull())
    .addColumn('layer_id', 'text', (column) => column.notNull())
    .addColumn('format', 'text', (column) => column.notNull().check(sql`format in ('raw', 'qcow2')`))
    .addColumn('payload_bytes', 'bigint', (column) => column.notNull())
    .addColumn('virtual_bytes', 'bigint', (column) => column.notNull())
    .addColumn('policy_id', 'text', (column) => column.notNull().references('policy.id'))
    .addColumn('encryption', 'text')
    .addUniqueConstraint('disk_number', ['vm_id', 'number'])
    .execute()
  await db.schema.createIndex('disk_by_layer').on('disk').column('layer_id').execute()
}

/** A key's row outlives its owner, its task and its provider: crypto-erase has to find every KEK that ever was. */
async function createKeys(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('key')
    .addColumn('provider', 'text', (column) => column.notNull())
    .addColumn('key_id', 'text', (column) => column.notNull())
    .addColumn('owner_kind', 'text', (column) => column.notNull().check(sql`owner_kind in ('vm', 'host')`))
    .addColumn('owner_id', 'text', (column) => column.notNull())
    .addColumn('owner_name', 'text', (column) => column.notNull())
    .addColumn('task_id', 'text')
    .addColumn('state', 'text', (column) =>
      column.notNull().check(sql`state in ('pending', 'current', 'retired', 'discarded', 'destroyed')`),
    )
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('key_primary', ['provider', 'key_id'])
    .execute()
  await db.schema.createIndex('key_by_owner').on('key').columns(['owner_id', 'state']).execute()
  await db.schema.createIndex('key_by_state').on('key').column('state').execute()
  await db.schema
    .createTable('key_provider')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('is_default', 'integer', (column) => column.notNull().check(sql`is_default in (0, 1)`))
    .addColumn('servers', 'text', (column) => column.notNull())
    .addColumn('server_ca', 'text', (column) => column.notNull())
    .addColumn('client_certificate', 'text', (column) => column.notNull())
    .addColumn('client_key_sealed', 'bytea', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('key_provider_one_default')
    .unique()
    .on('key_provider')
    .column('is_default')
    .where(sql.ref('is_default'), '=', sql.lit(1))
    .execute()
  await db.schema
    .createTable('sealed')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('value', 'bytea', (column) => column.notNull())
    .execute()
}

/** An event's ID is given by whoever records it, since SQLite and PostgreSQL share no word for «counts by itself». */
async function createEvents(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('event')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('type', 'text', (column) => column.notNull())
    .addColumn('severity', 'text', (column) => column.notNull())
    .addColumn('time', 'bigint', (column) => column.notNull())
    .addColumn('host_name', 'text')
    .addColumn('vm_name', 'text')
    .addColumn('provider', 'text')
    .addColumn('key_id', 'text')
    .addColumn('text', 'text', (column) => column.notNull())
    .addColumn('user_name', 'text')
    .addColumn('task_id', 'text')
    .execute()
  await db.schema.createIndex('event_by_type').on('event').columns(['type', 'id']).execute()
  await db.schema.createIndex('event_by_vm').on('event').columns(['vm_name', 'id']).execute()
  await db.schema.createIndex('event_by_host').on('event').columns(['host_name', 'id']).execute()
}

async function createAccess(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('role')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('privileges', 'text', (column) => column.notNull())
    .addColumn('system', 'integer', (column) => column.notNull().check(sql`system in (0, 1)`))
    .execute()
  await db.schema
    .createTable('user')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('role_name', 'text', (column) => column.notNull().references('role.name'))
    .addColumn('password_hash', 'text', (column) => column.notNull())
    .addColumn('failed_logins', 'integer', (column) => column.notNull())
    .addColumn('locked_until', 'bigint')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema.createIndex('user_by_role').on('user').column('role_name').execute()
  await db.schema
    .createTable('bearer')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('token_sha256', 'text', (column) => column.notNull().unique())
    .addColumn('kind', 'text', (column) => column.notNull().check(sql`kind in ('session', 'api-token')`))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('user_name', 'text', (column) => column.notNull().references('user.name').onDelete('cascade'))
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addColumn('last_used_at', 'bigint')
    .execute()
  await db.schema.createIndex('bearer_by_user').on('bearer').column('user_name').execute()
}

/** Wrong passwords were counted by user alone, so that anybody could lock anybody out. */
async function countFailuresByAddress(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('user').dropColumn('failed_logins').execute()
  await db.schema.alterTable('user').dropColumn('locked_until').execute()
  await db.schema
    .createTable('login_failure')
    .addColumn('user_name', 'text', (column) => column.notNull().references('user.name').onDelete('cascade'))
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('failed_count', 'integer', (column) => column.notNull())
    .addColumn('failed_at', 'bigint', (column) => column.notNull())
    .addColumn('locked_until', 'bigint')
    .addPrimaryKeyConstraint('login_failure_primary', ['user_name', 'address'])
    .execute()
}

/** Client keys come by themselves, before their key providers, and wait for a limited time. */
async function letSealedValuesExpire(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('sealed').addColumn('expires_at', 'bigint').execute()
}

async function addThinAndDevices(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('policy')
    .addColumn('thin', 'integer', (column) => column.notNull().defaultTo(0).check(sql`thin in (0, 1)`))
    .execute()
  await db.schema.alterTable('disk').addColumn('device', 'text').execute()
}
