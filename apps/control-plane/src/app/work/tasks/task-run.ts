import type { OperationStatus } from '@cryptvisor/host-agent-api'
import type { TaskRow } from '../../../database/schema.ts'
import type { WorkContext } from '../context.ts'
import type { Purpose } from '../keys/kms.ts'
import { readVms, type VmRecord } from '../vms/vm-store.ts'
import { ImportContent } from './import-content.ts'
import { type Pacing, type Progress, ProgressMeter } from './progress.ts'
import { formatContext, type OpenContext } from './task-context.ts'
import { getTask, updateTask } from './task-store.ts'

/** Thrown within a task between two steps when its cancellation was asked for. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError'
}

/** An operation at the agent of a host. */
export interface RunningOperation {
  readonly id: string
  readonly hostId: string
  /** By name. */
  readonly host: string
}

/** One task while it is carried out. */
export class TaskRun {
  readonly id: string
  readonly content: ImportContent
  readonly #work: WorkContext
  readonly #cancelling = new AbortController()
  readonly #meter = new ProgressMeter()
  /** The operation that a host carries out now, as far as is known. */
  operation: RunningOperation | null = null
  /** How often the present step failed for a fault of ours, such as a full disk. */
  faultCount = 0

  constructor(work: WorkContext, id: string) {
    this.#work = work
    this.id = id
    this.content = new ImportContent(work)
  }

  /** Fires when somebody asks for the task to be cancelled. */
  get cancelling(): AbortSignal {
    return this.#cancelling.signal
  }

  cancel(): void {
    this.#cancelling.abort(new CancelledError('the task was cancelled'))
  }

  throwIfCancelled(): void {
    this.#cancelling.signal.throwIfAborted()
  }

  row(): Promise<TaskRow> {
    return getTask(this.#work.database, this.id)
  }

  /** The task's VM as the database has it now. */
  async vm(vmId: string): Promise<VmRecord> {
    const [vm] = await readVms(this.#work.database, { id: vmId })
    if (vm === undefined) throw new Error(`the VM ${vmId} of the task ${this.id} is gone`)
    return vm
  }

  get progress(): Progress {
    return this.#meter.show()
  }

  /** Says what the task does now. */
  async step(step: string): Promise<void> {
    this.note(step, 0, 0)
    await updateTask(this.#work.database, this.id, { step })
  }

  /** Says how far it is; in memory only. */
  note(step: string, doneBytes: number, totalBytes: number, pacing: Pacing | null = null): void {
    this.#meter.note(step, doneBytes, totalBytes, this.#work.clock(), pacing)
  }

  /** Says what its host tells of the operation; in memory only. */
  noteStatus(status: OperationStatus): void {
    if (status.paused) this.content.held()
    this.note(status.step, status.doneBytes, status.totalBytes, status)
  }

  /** Puts on record how far it is. */
  async keepProgress(): Promise<void> {
    const { doneBytes, totalBytes } = this.progress
    await updateTask(this.#work.database, this.id, { done_bytes: doneBytes, total_bytes: totalBytes })
  }

  async save(context: OpenContext): Promise<void> {
    await updateTask(this.#work.database, this.id, { context: formatContext(context) })
  }
}

/** What the task's requests to key providers and hosts are for. */
export function purposeOf(row: TaskRow, vm: Pick<VmRecord, 'hostName' | 'row'>): Purpose {
  return { host: vm.hostName, vm: vm.row.name, user: row.user_name, task: row.id }
}
