import type { Approval, EraseVm, Erasure, ErasureCertificate, Impact } from '@cryptvisor/control-plane-api'
import type { KeyReference } from '@cryptvisor/host-agent-api'
import type { ErasureRow } from '../../../database/key-life-rows.ts'
import { requirePrivileges } from '../../access-control.ts'
import type { ApprovalAction } from '../../approvals/approval-action.ts'
import type { Approvals } from '../../approvals/approvals.ts'
import { impactOf } from '../../approvals/impact.ts'
import { timeText } from '../../clock.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { keyText } from '../../key-reference.ts'
import type { Principal } from '../../ports.ts'
import { requireNoHold } from '../../system/installation.ts'
import type { Database, WorkContext } from '../context.ts'
import { keyUsers } from '../keys/usage/key-usage.ts'
import { requirePowerFor } from '../machines/power-rules.ts'
import type { SagaDefinition } from '../sagas/definition.ts'
import { claimVm, type Sagas } from '../sagas/sagas.ts'
import { requireConnection, requireIdle } from '../vms/change-request.ts'
import { findVm } from '../vms/lookup.ts'
import { authorityOf, readVms, type VmRecord } from '../vms/vm-store.ts'
import type { EraseState } from './erase-state.ts'
import { sharedKeys } from './shared-keys.ts'
import { destroyedBefore, keysEverOf, nativeWarnings, sharedOnceWith } from './vm-key-history.ts'

/** The most that one answer lists. */
const listedMax = 1000

interface EraseRequest {
  readonly vmId: string
}

/** Crypto-erase of VMs, and the certificates of those that were erased. */
export class Erasures {
  readonly #work: WorkContext
  readonly #approvals: Approvals
  readonly #sagas: Sagas
  readonly #definition: SagaDefinition<EraseState>
  readonly #action: ApprovalAction<EraseRequest>

  constructor(work: WorkContext, approvals: Approvals, sagas: Sagas, definition: SagaDefinition<EraseState>) {
    this.#work = work
    this.#approvals = approvals
    this.#sagas = sagas
    this.#definition = definition
    this.#action = this.#approvalAction()
    approvals.add(this.#action)
  }

  /** Asks for a second user's approval. Throws `invalid` when the name was not typed, `in-use` when others share its keys. */
  async request(nameOrId: string, { confirm, reason }: EraseVm, by: Principal): Promise<Approval> {
    const vm = await findVm(this.#work.database, nameOrId)
    requirePrivileges(by, ['VirtualMachine.Inventory.Delete'], vm.objectPath)
    if (confirm !== vm.row.name) {
      throw new ControlPlaneError(
        'invalid',
        `confirm: type the VM’s name, ${vm.row.name}, to say that all of its data is to be lost for good`,
        { field: 'confirm' },
      )
    }
    requireIdle(vm)
    requirePowerFor(vm, 'erase')
    await requireNoHold(this.#work.database, `VM ${vm.row.name} is not erased`)
    requireConnection(this.#work, { id: vm.row.host_id, name: vm.hostName })
    const about = { vm: vm.row.name, host: vm.hostName }
    const subject = `erase VM ${vm.row.name}: destroy every key that its data was ever encrypted with, and remove its files`
    return this.#approvals.request({ action: this.#action, request: { vmId: vm.row.id }, subject, reason, about }, by)
  }

  /** The newest first. */
  async list(): Promise<Omit<Erasure, 'statement' | 'certificate'>[]> {
    const { database } = this.#work
    const rows = await database
      .selectFrom('erasure')
      .selectAll()
      .orderBy('created_at', 'desc')
      .limit(listedMax)
      .execute()
    return rows.map(headOf)
  }

  /** By its own ID, by the VM's, or by the VM's name: then the newest. Throws `not-found`. */
  async show(idOrVm: string): Promise<Erasure> {
    const row = await this.#work.database
      .selectFrom('erasure')
      .selectAll()
      .where((where) =>
        where.or([where('id', '=', idOrVm), where('vm_id', '=', idOrVm), where('vm_name', '=', idOrVm)]),
      )
      .orderBy('created_at', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (row === undefined) {
      throw new ControlPlaneError('not-found', `no VM ${idOrVm} was erased: see «vm erase-certificate list»`)
    }
    return { ...headOf(row), statement: row.statement, certificate: certificateIn(row.statement) }
  }

  #approvalAction(): ApprovalAction<EraseRequest> {
    return {
      name: 'vm.erase',
      privileges: ['Cryptographer.ManageKeys', 'VirtualMachine.Inventory.Delete'],
      requireMay: async (database, { vmId }, by) =>
        requirePrivileges(by, ['VirtualMachine.Inventory.Delete'], (await findVm(database, vmId)).objectPath),
      impact: (database, { vmId }) => this.#impact(database, vmId),
      carryOut: async ({ vmId }, decision) => {
        const vm = await findVm(this.#work.database, vmId)
        await requireNoHold(this.#work.database, `VM ${vm.row.name} is not erased`)
        requireConnection(this.#work, { id: vm.row.host_id, name: vm.hostName })
        const keys = await keysEverOf(this.#work.database, vm)
        await this.#sagas.begin({
          definition: this.#definition,
          target: { kind: 'vm', id: vm.row.id, name: vm.row.name },
          state: await this.#stateOf(vm, keys, decision),
          principal: { name: decision.requestedBy },
          claim: async (transaction, taskId, record) => {
            const impact = await decision.use(transaction, record, taskId)
            const [current] = await readVms(transaction, { id: vmId })
            // What was approved is what is destroyed: the state was worked out a moment before.
            if (current?.row.generation !== vm.row.generation || !isSame(impact.keys, keys)) {
              throw new ControlPlaneError(
                'vm-busy',
                `VM ${vm.row.name} was changed at this very moment: look, and try again`,
              )
            }
            requirePowerFor(current, 'erase')
            await claimVm(transaction, vmId, taskId)
          },
        })
      },
    }
  }

  async #impact(database: Database, vmId: string): Promise<Impact> {
    const vm = await findVm(database, vmId)
    requireIdle(vm)
    const keys = await keysEverOf(database, vm)
    if (keys.length === 0) {
      throw new ControlPlaneError(
        'invalid',
        `VM ${vm.row.name} is plain and always was: there is no key to destroy, so it cannot be erased that way. «vm delete» removes its files; media may hold their blocks`,
      )
    }
    const users = await keyUsers(database, { keys })
    const others = users.filter(({ owner }) => owner.id !== vmId)
    if (others.length > 0) throw await sharedKeys(database, vm, others)
    const once = await sharedOnceWith(database, keys, vmId)
    return impactOf(keys, users, [
      ...(await nativeWarnings(database, keys)),
      ...(once.length === 0
        ? []
        : [
            `VM ${once.join(', ')} was wrapped with the same key once, and may hold the same data keys if it is a clone: rekey it deeply, too`,
          ]),
    ])
  }

  async #stateOf(
    vm: VmRecord,
    keys: readonly KeyReference[],
    decision: { readonly approvalId: string; readonly approvedBy: Principal; readonly reason: string | null },
  ): Promise<EraseState> {
    const before = await destroyedBefore(this.#work.database, keys)
    return {
      vm: authorityOf(vm),
      host: { id: vm.row.host_id, name: vm.hostName },
      cluster: { id: vm.clusterId, name: vm.clusterName },
      datastore: vm.datastoreName,
      begunAt: this.#work.clock(),
      approvalId: decision.approvalId,
      approvedBy: decision.approvedBy.name,
      reason: decision.reason,
      keys: keys.map((key) => ({ key, answer: null, destroyedAt: null, before: before.has(keyText(key)) })),
      hosts: [],
      removal: null,
      filesRemovedAt: null,
      statement: null,
    }
  }
}

function isSame(one: readonly KeyReference[], other: readonly KeyReference[]): boolean {
  return one.map(keyText).toSorted().join('\n') === other.map(keyText).toSorted().join('\n')
}

function headOf(row: ErasureRow): Omit<Erasure, 'statement' | 'certificate'> {
  return {
    id: row.id,
    vm: { id: row.vm_id, name: row.vm_name },
    task: row.task_id,
    createdAt: timeText(row.created_at),
  }
}

/** What a statement of our own says. */
function certificateIn(statement: string): ErasureCertificate {
  // Written by `signStatement` from an `ErasureCertificate`.
  const { payload } = JSON.parse(statement) as { payload: string }
  return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as ErasureCertificate
}
