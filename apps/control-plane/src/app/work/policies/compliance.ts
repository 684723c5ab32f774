import type { ApplyPolicies, ComplianceReason, VmCompliance } from '@cryptvisor/control-plane-api'
import type { VmComplianceRow } from '../../../database/policy-rows.ts'
import { requirePrivileges } from '../../access-control.ts'
import { timeText, timeTextOrNull } from '../../clock.ts'
import { keyText } from '../../key-reference.ts'
import { Scope } from '../../permissions/scope.ts'
import type { NewEvent, Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { referenceOf } from '../keys/key-rows.ts'
import { findPolicy, findVm } from '../vms/lookup.ts'
import { authorityOf, keysOf, readVms, type VmRecord } from '../vms/vm-store.ts'
import { assess, type PolicyFacts } from './assessment.ts'

/** So many VMs are looked at in one transaction. */
const vmsPerRound = 200

/** The most reasons that an event tells. */
const reasonsToldMax = 5

/** Keeps whether VMs comply with their storage policies, and tells when that changes. */
export class Compliance {
  readonly #work: WorkContext

  constructor(work: WorkContext) {
    this.#work = work
  }

  /** One VM's, those of the VMs that have a policy, or all, by name; as it is now. Throws `not-found`. */
  async list(principal: Principal, { vm, policy }: ApplyPolicies): Promise<VmCompliance[]> {
    const { database } = this.#work
    const policyId = policy === undefined ? null : (await findPolicy(database, policy, 'policy')).id
    const named = vm === undefined ? null : await findVm(database, vm)
    if (named !== null) requirePrivileges(principal, ['StorageProfile.View'], named.objectPath)
    const scope = await Scope.of(database, principal, 'StorageProfile.View')
    const vms = named === null ? await readVms(database, { scope }) : [named]
    const chosen = vms.filter(
      ({ row, disks }) =>
        policyId === null || row.policy_id === policyId || disks.some((disk) => disk.policy_id === policyId),
    )
    const facts = await factsOf(database, this.#work.clock())
    const kept = new Map(
      (await database.selectFrom('vm_compliance').selectAll().execute()).map((row) => [row.vm_id, row]),
    )
    return chosen.map((each) => viewOf(each, facts, kept.get(each.row.id)))
  }

  /** Looks at these VMs, or at all, and records what became of them. Those that are gone are nothing. */
  async check(vmIds: readonly string[] | null): Promise<void> {
    const ids =
      vmIds ?? (await this.#work.database.selectFrom('vm').select('id').orderBy('id').execute()).map(({ id }) => id)
    await this.#keep(ids)
  }

  /** Looks again at the VMs that could not be looked at, as nobody knew whether they open, and that are open by now. */
  async checkOpened(): Promise<void> {
    const rows = await this.#work.database
      .selectFrom('vm_compliance')
      .innerJoin('vm', 'vm.id', 'vm_compliance.vm_id')
      .select(['vm.id', 'vm_compliance.reasons'])
      .where('vm_compliance.state', '!=', 'compliant')
      .where('vm.lock_state', '=', 'unlocked')
      .where('vm.task_id', 'is', null)
      .execute()
    await this.#keep(
      rows.filter(({ reasons }) => reasonsIn(reasons).some(({ rule }) => rule === 'lock')).map(({ id }) => id),
    )
  }

  /** Looks at the VMs that have a policy. */
  async checkPolicy(name: string): Promise<void> {
    const { id } = await findPolicy(this.#work.database, name, 'policy')
    const homes = await this.#work.database.selectFrom('vm').select('id').where('policy_id', '=', id).execute()
    const disks = await this.#work.database
      .selectFrom('disk')
      .select('vm_id as id')
      .where('policy_id', '=', id)
      .execute()
    await this.#keep([...new Set([...homes, ...disks].map((vm) => vm.id))])
  }

  async #keep(ids: readonly string[]): Promise<void> {
    for (let start = 0; start < ids.length; start += vmsPerRound) {
      this.#work.stopping.throwIfAborted()
      await this.#keepSome(ids.slice(start, start + vmsPerRound))
    }
  }

  /** One that a task has to itself is looked at when that has ended. */
  async #keepSome(ids: readonly string[]): Promise<void> {
    const now = this.#work.clock()
    await this.#work.events.transaction(async (transaction, record) => {
      const vms = (await readVms(transaction, { ids })).filter(({ row }) => row.task_id === null)
      const facts = await factsOf(transaction, now, vms)
      const rows = await transaction.selectFrom('vm_compliance').selectAll().where('vm_id', 'in', ids).execute()
      const before = new Map(rows.map((row) => [row.vm_id, row]))
      for (const vm of vms) {
        const { state, reasons } = assess(vm, facts)
        const old = before.get(vm.row.id)
        const row = rowOf(vm, old, { state, reasons }, now)
        await transaction
          .insertInto('vm_compliance')
          .values(row)
          .onConflict((conflict) => conflict.column('vm_id').doUpdateSet(row))
          .execute()
        const event = changeOf(vm, old, row, reasons)
        if (event !== null) await record(event)
      }
    })
  }
}

/** What VMs are compared with, as the database has it now: these VMs, of which there are not many, or all when left out. */
export async function factsOf(database: Database, now: number, vms?: readonly VmRecord[]): Promise<PolicyFacts> {
  const keyIds = vms?.flatMap((vm) => keysOf(authorityOf(vm)).map(({ keyId }) => keyId))
  const policies = await database.selectFrom('policy').selectAll().execute()
  let selectKeys = database.selectFrom('key').select(['provider', 'key_id', 'created_at'])
  let selectRevoked = database.selectFrom('key_revocation').selectAll()
  if (keyIds !== undefined) {
    // SQL has no empty list; no ID is empty.
    const some = keyIds.length === 0 ? [''] : [...new Set(keyIds)]
    selectKeys = selectKeys.where('key_id', 'in', some)
    selectRevoked = selectRevoked.where('key_id', 'in', some)
  }
  const keys = await selectKeys.execute()
  const revoked = await selectRevoked.execute()
  return {
    policies: new Map(policies.map((row) => [row.id, row])),
    keysMadeAt: new Map(keys.map((row) => [keyText(referenceOf(row)), row.created_at])),
    revoked: new Map(revoked.map((row) => [keyText(referenceOf(row)), row.state])),
    now,
  }
}

/** What is kept. A VM that cannot be looked at keeps what was wrong with it, so that its being mended is told later. */
function rowOf(
  vm: VmRecord,
  old: VmComplianceRow | undefined,
  { state, reasons }: Pick<VmCompliance, 'state' | 'reasons'>,
  now: number,
): VmComplianceRow {
  if (state === 'unknown' && old?.state === 'non-compliant') return { ...old, checked_at: now }
  const since = old?.state === state ? old.since : now
  return { vm_id: vm.row.id, state, reasons: JSON.stringify(reasons), since, checked_at: now }
}

function viewOf(vm: VmRecord, facts: PolicyFacts, kept: VmComplianceRow | undefined): VmCompliance {
  const found = assess(vm, facts)
  return {
    vm: vm.row.name,
    vmId: vm.row.id,
    host: vm.hostName,
    ...found,
    since: timeTextOrNull(kept?.state === found.state ? kept.since : null),
    checkedAt: timeText(facts.now),
  }
}

/** The event that tells of a change; `null`: there is nothing to tell. What is not known is no news. */
function changeOf(
  vm: VmRecord,
  old: VmComplianceRow | undefined,
  row: VmComplianceRow,
  reasons: readonly ComplianceReason[],
): NewEvent | null {
  const about = { host: vm.hostName, vm: vm.row.name }
  const drifts = reasons.some(({ state }) => state === 'non-compliant')
  if (drifts && (old?.state !== 'non-compliant' || isNews(old, reasons))) {
    const told = reasons.filter(({ state }) => state === 'non-compliant').map(({ text }) => text)
    const more = told.length > reasonsToldMax ? `; and ${told.length - reasonsToldMax} reasons more` : ''
    const text = `VM ${vm.row.name} does not comply with its storage policies: ${told.slice(0, reasonsToldMax).join('; ')}${more}. See what mends it: «policy apply --vm ${vm.row.name} --preview»`
    return { type: 'vm.policy.drift', ...about, text }
  }
  if (row.state === 'compliant' && old?.state === 'non-compliant') {
    return { type: 'vm.policy.compliant', ...about, text: `VM ${vm.row.name} complies with its storage policies again` }
  }
  return null
}

// Written by `#keepSome`.
const reasonsIn = (text: string) => JSON.parse(text) as ComplianceReason[]

/** Whether there is a reason that there was not before: of another part, or another rule. */
function isNews(old: VmComplianceRow, reasons: readonly ComplianceReason[]): boolean {
  const before = new Set(reasonsIn(old.reasons).map(({ part, rule }) => `${part} ${rule}`))
  return reasons.some(({ part, rule, state }) => state === 'non-compliant' && !before.has(`${part} ${rule}`))
}
