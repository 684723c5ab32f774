import type { ChangeStoragePolicy, CreateStoragePolicy, StoragePolicy } from '@cryptvisor/control-plane-api'
import type { Kysely, Transaction } from 'kysely'
import { v7 } from 'uuid'
import type { PolicyRow } from '../database/policy-rows.ts'
import type { Schema } from '../database/schema.ts'
import { requirePrivileges } from './access-control.ts'
import type { Clock } from './clock.ts'
import { contentRules } from './content-rules.ts'
import { ControlPlaneError } from './control-plane-error.ts'
import type { EventLog } from './events.ts'
import { forgetPermissions } from './permissions/permission-store.ts'
import { changedRules, noRules, rulesDiffer } from './policy-rules.ts'
import { policyView } from './policy-view.ts'
import type { HostObserver, Principal } from './ports.ts'
import { isRehearsed } from './rehearsal.ts'
import { orExists } from './unique.ts'

const namesShownMax = 5

/**
 * Storage policies: what is to hold for the VM Homes and disks that have them. Changing one changes no VM: those that have
 * it are out of date until it is applied to them.
 */
export class Policies {
  readonly #database: Kysely<Schema>
  readonly #events: EventLog
  readonly #observer: () => HostObserver
  readonly #clock: Clock

  constructor(database: Kysely<Schema>, events: EventLog, observer: () => HostObserver, clock: Clock) {
    this.#database = database
    this.#events = events
    this.#observer = observer
    this.#clock = clock
  }

  /** By name. */
  async list(): Promise<StoragePolicy[]> {
    const rows = await this.#database.selectFrom('policy').selectAll().orderBy('name').execute()
    const counts = await usesOf(this.#database)
    return rows.map((row) => policyView(row, counts(row.id)))
  }

  /** Throws `not-found`. */
  async show(name: string): Promise<StoragePolicy> {
    const row = await this.#row(this.#database, name)
    return policyView(row, (await usesOf(this.#database))(row.id))
  }

  /** Throws `already-exists`, `invalid` for rules that do not go together, `not-found`, `no-privilege`. */
  async create({ name, cloneOf, ...request }: CreateStoragePolicy, by: Principal): Promise<StoragePolicy> {
    const source = cloneOf === undefined ? null : await this.#row(this.#database, cloneOf, 'cloneOf')
    const rules = changedRules(source ?? noRules, request)
    requireManager(by, rules.encryption)
    const row: PolicyRow = {
      id: v7(),
      name,
      description: request.description ?? source?.description ?? '',
      ...rules,
      version: 1,
      system: 0,
      changed_at: this.#clock(),
      changed_by: by.name,
    }
    await orExists('name', `there is a storage policy ${name} already: choose another name`, () =>
      this.#events.transaction(async (transaction, record) => {
        await this.#requireProvider(transaction, rules.key_provider)
        await transaction.insertInto('policy').values(row).execute()
        const how = source === null ? '' : ` as a clone of «${source.name}»`
        await record({ type: 'policy.added', text: `Storage policy «${name}» was made${how}`, user: by.name })
      }),
    )
    return policyView(row, { homes: 0, disks: 0 })
  }

  /** Throws `not-found`, `invalid` for rules that do not go together, `in-use` for one that is always there, `no-privilege`. */
  async change(name: string, request: ChangeStoragePolicy, by: Principal): Promise<StoragePolicy> {
    const isChanged = await this.#events.transaction(async (transaction, record) => {
      const before = await this.#row(transaction, name)
      const rules = changedRules(before, request)
      requireManager(by, before.encryption, rules.encryption)
      refuseSystem(before, 'changed: clone it («policy clone») and change the clone')
      await this.#requireProvider(transaction, rules.key_provider)
      const changed = rulesDiffer(before, rules)
      const version = before.version + Number(changed)
      await transaction
        .updateTable('policy')
        .set({
          ...rules,
          description: request.description ?? before.description,
          version,
          changed_at: this.#clock(),
          changed_by: by.name,
        })
        .where('id', '=', before.id)
        .execute()
      const text = changed
        ? `The rules of storage policy «${name}» were changed: it has version ${version} now. VMs that have it stay as they are until it is applied to them («policy apply»)`
        : `The description of storage policy «${name}» was changed`
      await record({ type: 'policy.changed', text, user: by.name })
      return changed
    })
    if (isChanged && !isRehearsed()) await this.#observer().policyChanged(name)
    return this.show(name)
  }

  /** Throws `not-found`, `no-privilege`; `in-use` while a VM or an open task has it, and for one that is always there. */
  async remove(name: string, by: Principal): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const row = await this.#row(transaction, name)
      requireManager(by, row.encryption)
      refuseSystem(row, 'removed')
      await refuseUsed(transaction, row)
      await transaction.deleteFrom('policy').where('id', '=', row.id).execute()
      await forgetPermissions(transaction, 'policy', row.id)
      await record({ type: 'policy.removed', text: `Storage policy «${name}» was removed`, user: by.name })
    })
  }

  async #requireProvider(database: Transaction<Schema>, name: string | null): Promise<void> {
    if (name === null) return
    const found = await database.selectFrom('key_provider').select('name').where('name', '=', name).executeTakeFirst()
    if (found !== undefined) return
    const text = `keyProvider: there is no key provider ${name}: see «key-provider list»`
    throw new ControlPlaneError('not-found', text, { field: 'keyProvider' })
  }

  async #row(database: Kysely<Schema>, name: string, field = 'policy'): Promise<PolicyRow> {
    const row = await database.selectFrom('policy').selectAll().where('name', '=', name).executeTakeFirst()
    if (row !== undefined) return row
    throw new ControlPlaneError('not-found', `${field}: there is no storage policy ${name}: see «policy list»`, {
      field,
    })
  }
}

/** Whoever makes, changes or removes a policy that encrypts has something to do with encryption. */
function requireManager(by: Principal, ...encryption: readonly number[]): void {
  if (encryption.includes(1)) requirePrivileges(by, contentRules.managesEncryption.privileges)
}

function refuseSystem({ name, system }: PolicyRow, text: string): void {
  if (system === 0) return
  throw new ControlPlaneError('in-use', `storage policy «${name}» is always there and cannot be ${text}`)
}

/** How many VM Homes and disks have a policy, by its ID. */
async function usesOf(database: Kysely<Schema>): Promise<(policyId: string) => StoragePolicy['usedBy']> {
  const count = async (table: 'vm' | 'disk') => {
    const rows = await database
      .selectFrom(table)
      .select((select) => ['policy_id', select.fn.countAll<number>().as('count')])
      .groupBy('policy_id')
      .execute()
    return new Map(rows.map((row) => [row.policy_id, Number(row.count)]))
  }
  const [homes, disks] = [await count('vm'), await count('disk')]
  return (id) => ({ homes: homes.get(id) ?? 0, disks: disks.get(id) ?? 0 })
}

async function refuseUsed(database: Transaction<Schema>, { id, name }: PolicyRow): Promise<void> {
  const homes = await database.selectFrom('vm').select('name').where('policy_id', '=', id).orderBy('name').execute()
  const disks = await database
    .selectFrom('disk')
    .innerJoin('vm', 'vm.id', 'disk.vm_id')
    .select('vm.name')
    .where('disk.policy_id', '=', id)
    .orderBy('vm.name')
    .execute()
  const vms = [...new Set([...homes, ...disks].map((vm) => vm.name))]
  if (vms.length > 0) {
    const shown = vms.slice(0, namesShownMax).join(', ')
    const more = vms.length > namesShownMax ? ` and ${vms.length - namesShownMax} more` : ''
    throw new ControlPlaneError(
      'in-use',
      `storage policy «${name}» is that of ${vms.length === 1 ? 'VM' : 'VMs'} ${shown}${more}: give them another one first («vm policy»)`,
    )
  }
  // Tasks name policies in their contexts; one that mentions this name may be about to apply it.
  const tasks = await database
    .selectFrom('task')
    .select(['id', 'context'])
    .where('state', 'in', ['queued', 'running'])
    .execute()
  const task = tasks.find(({ context }) => context.includes(JSON.stringify(name)))
  if (task === undefined) return
  throw new ControlPlaneError('in-use', `task ${task.id} is about to apply «${name}»: wait for its end («task watch»)`)
}
