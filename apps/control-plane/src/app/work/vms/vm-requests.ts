import type {
  AddDisk,
  AttachDisk,
  ChangePolicy,
  CloneVm,
  CreateVm,
  ImportDisk,
  ImportVolume,
  RekeyVm,
  RestoreHeader,
} from '@cryptvisor/control-plane-api'
import type { TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { clusterPath, pathOfId } from '../../inventory/object-paths.ts'
import type { Principal } from '../../ports.ts'
import type { Database, WorkContext } from '../context.ts'
import { requireNoOrder } from '../keys/orders/order-store.ts'
import { isOn } from '../machines/machine-store.ts'
import { requirePowerFor } from '../machines/power-rules.ts'
import { claimDetached } from '../policies/detached-disks.ts'
import { formatContext, type KeyPlan, type OpenContext, type VmChange } from '../tasks/task-context.ts'
import type { TaskRunner } from '../tasks/task-runner.ts'
import { insertTask, type VmTaskType } from '../tasks/task-store.ts'
import { requireConnection, requireIdle, requireNotStopped } from './change-request.ts'
import { planClone } from './clone.ts'
import { requireFreeDevice } from './device-claim.ts'
import { planDiskAddition, planDiskImport } from './disk-addition.ts'
import { planAttachment, planDetachment } from './disk-attachment.ts'
import { planHeaderRestore } from './header-restore.ts'
import { findVm } from './lookup.ts'
import { planPolicyChange } from './policy-change.ts'
import { planRekey } from './rekey.ts'
import { chooseFolder, planVmCreation, requireFreeName, type VmCreation } from './vm-creation.ts'
import { readVms, type VmRecord } from './vm-store.ts'
import { planVolumeImport } from './volume-import.ts'

/** What may be done to a VM that is stopped, since its key was revoked: give it another key, or do without it. */
const curesStopped: ReadonlySet<VmChange['kind']> = new Set([
  'shallow-rekey',
  'deep-rekey',
  'relabel',
  'detach-disk',
  'delete-vm',
])

const taskTypes = { encrypt: 'vm.encrypt', decrypt: 'vm.decrypt', relabel: 'vm.policy' } as const

/** Ties a task to what it was begun for, in the transaction that writes it. */
export type TieTask = (transaction: Database, taskId: string) => Promise<void>

/** Turns what users ask for into tasks: all is checked first, then the VM belongs to the task. */
export class VmRequests {
  readonly #work: WorkContext
  readonly #runner: TaskRunner

  constructor(work: WorkContext, runner: TaskRunner) {
    this.#work = work
    this.#runner = runner
  }

  async create(principal: Principal, request: CreateVm): Promise<TaskRow> {
    return this.#make('vm.create', principal, await planVmCreation(this.#work, principal, request), null)
  }

  /** Writes the row of a VM that is to be made, which belongs to its task; so does `source`, where it is a clone. */
  async #make(
    type: 'vm.create' | 'vm.clone',
    principal: Principal,
    { row, change, key }: VmCreation,
    source: VmRecord | null,
  ): Promise<TaskRow> {
    const safe = await mayMakeClusterSafe(this.#work.database, principal, row.host_id)
    const context = begin(change, key, safe, row.host_id)
    const task = await this.#work.database.transaction().execute(async (transaction) => {
      await requireFreeName(transaction, row.name)
      if (source !== null) {
        const [current] = await readVms(transaction, { id: source.row.id })
        requireUnchanged(source, current)
        if (current !== undefined) requirePowerFor(current, 'clone-vm')
        await requireNotStopped(transaction, source)
      }
      const inserted = await this.#insert(transaction, type, principal, row, context)
      const folder = await chooseFolder(transaction, row)
      await transaction
        .insertInto('vm')
        .values({ ...row, folder, task_id: inserted.id })
        .execute()
      if (source !== null) {
        await transaction.updateTable('vm').set({ task_id: inserted.id }).where('id', '=', source.row.id).execute()
      }
      return inserted
    })
    this.#runner.run(task, false)
    return task
  }

  async remove(principal: Principal, nameOrId: string): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    requireIdle(vm)
    requireConnection(this.#work, { id: vm.row.host_id, name: vm.hostName })
    return this.#begin('vm.delete', principal, vm, { kind: 'delete-vm' }, { kind: 'none' })
  }

  async changePolicy(principal: Principal, nameOrId: string, request: ChangePolicy): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const plan = await planPolicyChange(this.#work, principal, vm, request)
    if (plan === null) {
      return this.#nothingToDo('vm.policy', principal, vm, 'nothing to do: everything is as it was asked for')
    }
    return this.#begin(taskTypes[plan.change.kind], principal, vm, plan.change, plan.key)
  }

  /** `tie`: what is written together with the task; throws when the task must not begin. */
  async rekey(principal: Principal, nameOrId: string, request: RekeyVm, tie?: TieTask): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const plan = await planRekey(this.#work, principal, vm, request)
    if (plan === null) {
      const step = 'nothing to do: it has the provider’s wrapping key already, see «key-provider rotate-wrapping-key»'
      return this.#nothingToDo('vm.rekey', principal, vm, step, tie)
    }
    return this.#begin('vm.rekey', principal, vm, plan.change, plan.key, tie)
  }

  /** The task is the clone's; the source is its own until it ends, so that nobody changes it meanwhile. */
  async clone(principal: Principal, nameOrId: string, request: CloneVm): Promise<TaskRow> {
    const source = await findVm(this.#work.database, nameOrId)
    return this.#make('vm.clone', principal, await planClone(this.#work, principal, source, request), source)
  }

  async addDisk(principal: Principal, nameOrId: string, request: AddDisk): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const { change, key } = await planDiskAddition(this.#work, principal, vm, request)
    return this.#begin('vm.add-disk', principal, vm, change, key)
  }

  async attachDisk(principal: Principal, nameOrId: string, request: AttachDisk): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const { change, key } = await planAttachment(this.#work, principal, vm, request)
    return this.#begin('vm.attach-disk', principal, vm, change, key)
  }

  /** `remove`: its data goes, too. */
  async detachDisk(principal: Principal, nameOrId: string, number: number, remove: boolean): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const { change, key } = planDetachment(this.#work, vm, number, remove)
    return this.#begin(remove ? 'vm.remove-disk' : 'vm.detach-disk', principal, vm, change, key)
  }

  async importDisk(principal: Principal, nameOrId: string, request: ImportDisk): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const change = await planDiskImport(this.#work, principal, vm, request)
    return this.#begin('vm.import-disk', principal, vm, change, { kind: 'none' })
  }

  async importVolume(principal: Principal, nameOrId: string, request: ImportVolume): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const { change, key } = await planVolumeImport(this.#work, principal, vm, request)
    return this.#begin('vm.import-volume', principal, vm, change, key)
  }

  async restoreHeader(
    principal: Principal,
    nameOrId: string,
    number: number,
    request: RestoreHeader,
  ): Promise<TaskRow> {
    const vm = await findVm(this.#work.database, nameOrId)
    const { change, key } = await planHeaderRestore(this.#work, principal, vm, number, request)
    return this.#begin('vm.restore-header', principal, vm, change, key)
  }

  /** A task that succeeded at once. */
  #nothingToDo(type: VmTaskType, principal: Principal, vm: VmRecord, step: string, tie?: TieTask): Promise<TaskRow> {
    const task = { type, target: targetOf(vm.row), principal, context: null, step, totalBytes: 0 }
    return this.#work.database.transaction().execute(async (transaction) => {
      const inserted = await insertTask(transaction, this.#work.clock, task)
      await tie?.(transaction, inserted.id)
      return inserted
    })
  }

  /** Gives the VM to a new task, provided that it is as it was when the request was checked. Throws `vm-busy`. */
  async #begin(
    type: VmTaskType,
    principal: Principal,
    vm: VmRecord,
    change: VmChange,
    key: KeyPlan,
    tie?: TieTask,
  ): Promise<TaskRow> {
    const { row } = vm
    let runs = false
    const task = await this.#work.database.transaction().execute(async (transaction) => {
      const [current] = await readVms(transaction, { id: row.id })
      requireUnchanged(vm, current)
      if (current !== undefined) requirePowerFor(current, change.kind)
      runs = isOn(current?.machine ?? null)
      if (!curesStopped.has(change.kind)) await requireNotStopped(transaction, vm)
      if (change.kind === 'add-disk' && change.disk.device !== undefined) {
        await requireFreeDevice(transaction, vm.clusterId, change.disk.device)
      }
      const safe = await mayMakeClusterSafe(transaction, principal, row.host_id)
      const context = begin(change, key, safe, row.host_id)
      const inserted = await this.#insert(transaction, type, principal, row, context)
      await transaction.updateTable('vm').set({ task_id: inserted.id }).where('id', '=', row.id).execute()
      if (change.kind === 'attach-disk') await claimDetached(transaction, change.disk.layerId, inserted.id)
      await tie?.(transaction, inserted.id)
      return inserted
    })
    this.#runner.run(task, false, runs ? ['live: the VM runs, and goes on running meanwhile'] : [])
    return task
  }

  async #insert(
    transaction: Database,
    type: VmTaskType,
    principal: Principal,
    vm: { readonly id: string; readonly name: string },
    context: OpenContext,
  ): Promise<TaskRow> {
    const { clock } = this.#work
    if (context.key.kind === 'existing' && wrapsAnew(context.change)) {
      await requireNoOrder(transaction, context.key.key)
    }
    const task = {
      type,
      target: targetOf(vm),
      principal,
      context: formatContext(context),
      step: 'queued',
      totalBytes: 0,
    }
    return insertTask(transaction, clock, task)
  }
}

const targetOf = ({ id, name }: { readonly id: string; readonly name: string }) => ({ kind: 'vm', id, name }) as const

/** Whether the task makes all hosts of the cluster crypto-safe, and not the VM's own alone. */
async function mayMakeClusterSafe(database: Database, principal: Principal, hostId: string): Promise<boolean> {
  const path = await pathOfId(database, { kind: 'host', id: hostId })
  const cluster = path?.[1]
  if (cluster === undefined) return false
  return principal.can('Cryptographer.RegisterHost', clusterPath(cluster.id, cluster.name))
}

function begin(change: VmChange, key: KeyPlan, registerHost: boolean, hostId: string): OpenContext {
  return {
    phase: 'preparing',
    change,
    key,
    registerHost,
    hostId,
    doneCount: 0,
    operation: null,
    failure: null,
  }
}

/** Whether something is wrapped with a KEK that was not before. */
function wrapsAnew({ kind }: VmChange): boolean {
  return kind === 'encrypt' || kind === 'add-disk' || kind === 'import-volume' || kind === 'clone-vm'
}

function requireUnchanged(before: VmRecord, now: VmRecord | undefined): void {
  if (now !== undefined) requireIdle(now)
  if (now?.row.generation === before.row.generation && now.row.host_id === before.row.host_id) return
  throw new ControlPlaneError('vm-busy', `VM ${before.row.name} was changed at this very moment: look, and try again`)
}
