import type { KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import type { TaskRow } from '../../../database/schema.ts'
import { keyText } from '../../key-reference.ts'
import { forgetPermissions } from '../../permissions/permission-store.ts'
import type { Database, WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import type { HostKeys } from '../keys/host-keys.ts'
import type { KeyDisposal } from '../keys/key-disposal.ts'
import { pendingKeysOfTask, referenceOf, setKeyState, settleKeys } from '../keys/key-rows.ts'
import { isShared } from '../keys/wrapping/wrapping-rows.ts'
import type { Compliance } from '../policies/compliance.ts'
import { deleteDetached, insertDetached, releaseDetached } from '../policies/detached-disks.ts'
import type { KeyRevocations } from '../policies/key-revocations.ts'
import { type LockStates, openNow } from '../vms/lock-states.ts'
import { findHost } from '../vms/lookup.ts'
import { authorityOf, keysOf, readVms, storeAuthority, type VmRecord } from '../vms/vm-store.ts'
import { failureEvent, isCryptographic, successEvents } from './change-text.ts'
import {
  type Aftermath,
  emptyContext,
  type Failure,
  formatContext,
  type OpenContext,
  plannedKey,
} from './task-context.ts'
import { purposeOf } from './task-run.ts'
import { updateTask } from './task-store.ts'

/** A task that is to be ended, with its VM as the database has it. */
export interface Ending {
  readonly row: TaskRow
  readonly vm: VmRecord
  readonly context: OpenContext
  /** The KEK that it is about, where there is one. */
  readonly key: KeyReference | null
}

/** What has to know how tasks end. */
export interface EndingServices {
  readonly handOver: HandOver
  readonly hostKeys: HostKeys
  readonly disposal: KeyDisposal
  readonly locks: LockStates
  readonly revocations: KeyRevocations
  readonly compliance: Compliance
}

/** Puts the outcome of tasks on record, each in one transaction, and does what is left to do afterwards. */
export class TaskEnding {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #hostKeys: HostKeys
  readonly #disposal: KeyDisposal
  readonly #locks: LockStates
  readonly #revocations: KeyRevocations
  readonly #compliance: Compliance

  constructor(work: WorkContext, services: EndingServices) {
    this.#work = work
    this.#handOver = services.handOver
    this.#hostKeys = services.hostKeys
    this.#disposal = services.disposal
    this.#locks = services.locks
    this.#revocations = services.revocations
    this.#compliance = services.compliance
  }

  /** The last operation is done: the VM is `authority` from now on (`null`: it is gone), and the task a success. */
  async succeed(ending: Ending, authority: VmAuthority | null): Promise<void> {
    const { row, vm, context } = ending
    await this.#work.database.transaction().execute(async (transaction) => {
      const used = authority === null ? null : keysOf(authority)
      await this.#moveLayer(transaction, ending)
      const settled = { id: vm.row.id, before: keysOf(authorityOf(vm)), used }
      const retired = await settleKeys(transaction, settled, this.#work.clock())
      const aftermath: Aftermath = {
        events: successEvents(context.change, purposeOf(row, vm), ending.key, retired),
        // Hosts of other clusters may need them still, or another VM of this one.
        forgetKeys: settled.before.filter((key) => !(used ?? []).some((other) => keyText(other) === keyText(key))),
        forgetOperations: operationsOf(context),
      }
      await this.#end(transaction, ending, null, aftermath)
      await release(transaction, row)
      if (authority === null) {
        await transaction.deleteFrom('vm').where('id', '=', vm.row.id).execute()
        await forgetPermissions(transaction, 'vm', vm.row.id)
        return
      }
      await storeAuthority(transaction, authority)
      // Of these the host says whether the rest opens, too.
      if (['restore-header', 'relabel', 'detach-disk'].includes(context.change.kind)) return
      await transaction.updateTable('vm').set(openNow).where('id', '=', vm.row.id).execute()
    })
  }

  /** A layer that belongs to no VM any more, or to one again. */
  async #moveLayer(transaction: Database, { row, vm, context: { change } }: Ending): Promise<void> {
    if (change.kind === 'detach-disk' && !change.remove) {
      await insertDetached(transaction, vm, change.diskId, { user: row.user_name, at: this.#work.clock() })
    } else if (change.kind === 'attach-disk') {
      await deleteDetached(transaction, change.disk.layerId)
    }
  }

  /**
   * Nothing happened to the VM: gives up the KEKs that were made for the task, which wrap nothing, and ends it. A VM
   * that was to be made is gone.
   */
  async undone(ending: Ending, failure: Failure): Promise<void> {
    const { row, vm, context } = ending
    const made = await pendingKeysOfTask(this.#work.database, row.id)
    const keys = made.filter((key) => key.owner_kind === 'vm').map(referenceOf)
    await this.#handOver.forget(vm.clusterId, keys)
    // What VMs share stays; the hosts got it for this task alone, perhaps.
    if (ending.key !== null && (await isShared(this.#work.database, ending.key))) {
      await this.#handOver.forgetUnneeded(vm.clusterId, [ending.key], row.id)
    }
    await this.#hostKeys.giveUp(row.id)
    await this.#disposal.discard(keys)
    const event = failureOf(ending, failure)
    await this.#work.database.transaction().execute(async (transaction) => {
      await this.#end(transaction, ending, failure, {
        events: isCryptographic(context.change) ? [event] : [],
        forgetKeys: [],
        forgetOperations: operationsOf(context),
      })
      await release(transaction, row)
      if (context.change.kind === 'restore-header') {
        // It may be there in part: the host says so when it is asked.
        const unknown = { lock_state: 'unknown' as const, lock_text: null }
        const ofVm = transaction.updateTable('vm').set(unknown).where('id', '=', vm.row.id)
        await ofVm.where('lock_state', '=', 'unlocked').execute()
      }
      if (context.change.kind === 'create-vm' || context.change.kind === 'clone-vm') {
        await transaction.deleteFrom('vm').where('id', '=', vm.row.id).execute()
        await forgetPermissions(transaction, 'vm', vm.row.id)
      }
    })
  }

  /** A VM that was made in part, and could not be removed again, stays; it keeps its KEK. */
  async halfMade(ending: Ending, failure: Failure): Promise<void> {
    const { row, vm, context } = ending
    const events = isCryptographic(context.change) ? [{ ...failureOf(ending, failure), text: failure.message }] : []
    await this.#work.database.transaction().execute(async (transaction) => {
      const used = keysOf(authorityOf(vm))
      await settleKeys(transaction, { id: vm.row.id, before: used, used }, this.#work.clock())
      await this.#end(transaction, ending, failure, {
        events,
        forgetKeys: [],
        forgetOperations: operationsOf(context),
      })
      await release(transaction, row)
    })
  }

  /**
   * The change may have happened, or a part of it: the database keeps what it knows, and no key is given up. The VM is
   * locked, with `failure` as the reason, until its host says something else.
   */
  async unclear(ending: Ending, failure: Failure): Promise<void> {
    const { row, vm } = ending
    const text = `${failure.message}. Nothing was undone, and every key is kept: compare the VM's folder with «vm show»`
    await this.#work.database.transaction().execute(async (transaction) => {
      for (const key of await pendingKeysOfTask(transaction, row.id)) {
        if (key.owner_kind === 'vm') await setKeyState(transaction, referenceOf(key), 'retired', this.#work.clock())
      }
      const told = { ...failure, message: text }
      const event = { ...failureOf(ending, told), text }
      await this.#end(transaction, ending, told, { events: [event], forgetKeys: [], forgetOperations: [] })
      await release(transaction, row)
      await transaction
        .updateTable('vm')
        .set({ lock_state: 'locked', lock_text: text, lock_cause: 'unclear', lock_since: this.#work.clock() })
        .where('id', '=', vm.row.id)
        .execute()
    })
  }

  /** Does what is left when the outcome is on record: records events, has hosts forget. `again`: it may be done in part. */
  async settle(row: TaskRow, hostId: string, aftermath: Aftermath, again: boolean): Promise<void> {
    for (const event of aftermath.events) {
      if (again && (await this.#isRecorded(row.id, event.type))) continue
      await this.#work.events.record(event)
    }
    const { database } = this.#work
    if (aftermath.forgetKeys.length > 0) {
      const host = await findHost(database, hostId)
      await this.#handOver.forgetUnneeded(host.cluster_id, aftermath.forgetKeys)
    }
    await this.#revocations.settled(row.target_id)
    await this.#refreshLock(row.target_id)
    if (aftermath.source !== undefined) await this.#refreshLock(aftermath.source)
    await this.#compliance.check([row.target_id])
    for (const operation of aftermath.forgetOperations) {
      try {
        await this.#work.hostConnections.get(hostId)?.client.forgetOperation(operation)
      } catch (error) {
        this.#work.stopping.throwIfAborted()
        this.#work.log.warn({ err: error, operation }, 'an agent did not forget an operation')
      }
    }
    await updateTask(database, row.id, { context: emptyContext })
  }

  /** While a task had the VM, nobody asked whether it can be opened. */
  async #refreshLock(vmId: string): Promise<void> {
    const [vm] = await readVms(this.#work.database, { id: vmId })
    if (vm === undefined || vm.row.lock_state === 'unlocked') return
    const connection = this.#work.hostConnections.get(vm.row.host_id)
    if (connection === null) return
    try {
      await this.#locks.ask(connection, vm, null, () => null)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      this.#work.log.warn({ err: error, vm: vmId }, 'a host did not say whether a VM opens')
    }
  }

  async #end(transaction: Database, ending: Ending, failure: Failure | null, aftermath: Aftermath): Promise<void> {
    const { row, context } = ending
    await updateTask(transaction, row.id, {
      state: failure?.state ?? 'success',
      step: failure === null ? 'done' : row.step,
      error_code: failure?.code ?? null,
      error_message: failure?.message ?? null,
      ended_at: this.#work.clock(),
      context: formatContext({
        phase: 'ended',
        hostId: context.hostId,
        aftermath:
          context.change.kind === 'clone-vm' ? { ...aftermath, source: context.change.source.vmId } : aftermath,
      }),
    })
  }

  async #isRecorded(taskId: string, type: string): Promise<boolean> {
    const found = await this.#work.database
      .selectFrom('event')
      .select('id')
      .where('task_id', '=', taskId)
      .where('type', '=', type)
      .executeTakeFirst()
    return found !== undefined
  }
}

/** Lets go of the task's VM, of the one that it clones, and of the layer that it was to attach. */
async function release(transaction: Database, row: TaskRow): Promise<void> {
  await transaction.updateTable('vm').set({ task_id: null }).where('task_id', '=', row.id).execute()
  await releaseDetached(transaction, row.id)
}

/** The agent's operations that the task asked for. */
function operationsOf(context: OpenContext): string[] {
  return context.operation === null ? [] : [context.operation.id]
}

function failureOf({ row, vm, context, key }: Ending, failure: Failure) {
  return failureEvent(context.change, purposeOf(row, vm), key ?? plannedKey(context.key), failure)
}
