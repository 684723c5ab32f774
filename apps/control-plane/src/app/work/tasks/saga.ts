import type { KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import type { TaskRow } from '../../../database/schema.ts'
import { ControlPlaneError, type ControlPlaneErrorCode } from '../../control-plane-error.ts'
import { keyReference } from '../../key-reference.ts'
import type { WorkContext } from '../context.ts'
import { sendKeyError } from '../hosts/send-key-error.ts'
import { authorityOf, storeAuthority, type VmRecord } from '../vms/vm-store.ts'
import { type AgentFailureCode, AgentOperation, type Outcome } from './agent-operation.ts'
import type { Ending, TaskEnding } from './ending.ts'
import { operationCount, operationRequest } from './operation-request.ts'
import { type KeyServices, Preparation } from './preparation.ts'
import {
  type AskedOperation,
  type Failure,
  formatContext,
  type OpenContext,
  parseContext,
  plannedKey,
} from './task-context.ts'
import { CancelledError, purposeOf, type TaskRun } from './task-run.ts'
import { updateTask } from './task-store.ts'

/** A task that is open, as the database has it now. */
interface OpenTask extends Ending {
  readonly context: OpenContext
}

/**
 * Carries one task out, from wherever it stands: prepares its keys, has the host change the VM, puts the outcome on
 * record; or undoes. What it does next is in the database before it does it, so that it can be taken up at any point.
 */
export class Saga {
  readonly #work: WorkContext
  readonly #keys: KeyServices
  readonly #ending: TaskEnding
  readonly #run: TaskRun

  constructor(work: WorkContext, keys: KeyServices, ending: TaskEnding, run: TaskRun) {
    this.#work = work
    this.#keys = keys
    this.#ending = ending
    this.#run = run
  }

  /**
   * Brings the task to its end. `resumed`: somebody began it before and did not come to the end. Throws when the
   * control plane stops, and for failures of the database.
   */
  async toEnd(resumed: boolean): Promise<void> {
    for (let again = resumed; ; again = false) {
      const row = await this.#run.row()
      const context = parseContext(row.context)
      if (context === null) return
      if (context.phase === 'ended') {
        await this.#ending.settle(row, context.hostId, context.aftermath, again)
        return
      }
      if (row.state === 'queued') {
        await updateTask(this.#work.database, row.id, { state: 'running', started_at: this.#work.clock() })
      }
      const vm = await this.#run.vm(row.target_id)
      const task: OpenTask = { row, vm, context, key: keyOf(row, context) }
      if (context.phase === 'preparing') await this.#prepare(task, again)
      else if (context.phase === 'operating') await this.#operate(task)
      else await this.#undo(task)
    }
  }

  async #prepare(task: OpenTask, resumed: boolean): Promise<void> {
    try {
      await new Preparation(this.#work, this.#keys, this.#run, task.context, task).makeReady(resumed)
    } catch (error) {
      this.#work.stopping.throwIfAborted()
      await this.#giveUp(task.context, this.#failureOf(error))
      return
    }
    await this.#run.save({ ...task.context, phase: 'operating' })
  }

  async #operate(task: OpenTask): Promise<void> {
    const { row, vm, context, key } = task
    if (context.operation === null && this.#run.cancelling.aborted) {
      await this.#giveUp(context, cancelled)
      return
    }
    const authority = authorityOf(vm)
    const outcome = await this.#ask(task, this.#run.cancelling, () => ({
      id: `${row.id}-${context.doneCount}`,
      request: operationRequest(context.change, context.doneCount, authority, key),
      acknowledged: false,
    }))
    await this.#run.keepProgress()
    if (outcome.kind === 'unclear') {
      await this.#ending.unclear(task, { state: 'error', code: 'agent-failed', message: outcome.message })
    } else if (outcome.kind === 'failed') {
      await this.#recordSendKeyError(task, outcome)
      await this.#giveUp(context, agentFailure(vm, outcome))
    } else {
      await this.#done(task, outcome.vm)
    }
  }

  /** One operation is done: the next one, or the end. */
  async #done(task: OpenTask, authority: VmAuthority | null): Promise<void> {
    const { row, context } = task
    const doneCount = context.doneCount + 1
    if (authority === null || doneCount === operationCount(context.change)) {
      await this.#ending.succeed(await this.#latest(task), authority)
      return
    }
    await this.#work.database.transaction().execute(async (transaction) => {
      await storeAuthority(transaction, authority)
      await updateTask(transaction, row.id, { context: formatContext({ ...context, doneCount, operation: null }) })
    })
  }

  async #undo(task: OpenTask): Promise<void> {
    const { row, vm, context } = task
    const failure = context.failure ?? cancelled
    if (context.change.kind !== 'create-vm' || context.doneCount === 0) {
      await this.#ending.undone(task, failure)
      return
    }
    // The VM was made, and a disk of it could not be: it goes, and with it the need for its KEK.
    const outcome = await this.#ask(task, new AbortController().signal, () => ({
      id: `${row.id}-undo`,
      request: { kind: 'delete-vm', vm: authorityOf(vm) },
      acknowledged: false,
    }))
    if (outcome.kind === 'done') {
      const { context: latest } = await this.#latest(task)
      await this.#work.database.transaction().execute(async (transaction) => {
        // Nothing is wrapped with its KEK any more, so that this can be given up too.
        await storeAuthority(transaction, { ...authorityOf(vm), generation: 0, encryption: null, disks: [] })
        await updateTask(transaction, row.id, { context: formatContext({ ...latest, doneCount: 0 }) })
      })
      return
    }
    await this.#ending.halfMade(await this.#latest(task), {
      ...failure,
      message: `${failure.message}. The VM is there without all of its disks, since removing it failed: ${outcome.message}. Delete it`,
    })
  }

  /** Asks the host for the operation that is on record, or puts `make` on record first and asks for that. */
  async #ask(task: OpenTask, cancelling: AbortSignal, make: () => AskedOperation): Promise<Outcome> {
    const { row, vm, context } = task
    const asked = context.operation ?? make()
    if (context.operation === null) await this.#run.save({ ...context, operation: asked })
    const host = { id: context.hostId, purpose: purposeOf(row, vm) }
    const operation = new AgentOperation(
      this.#work,
      this.#keys.handOver,
      { run: this.#run, cancelling, asked, host },
      () => this.#run.save({ ...context, operation: { ...asked, acknowledged: true } }),
    )
    return operation.outcome(context.operation === null)
  }

  /** From here on the task only undoes. */
  async #giveUp(context: OpenContext, failure: Failure): Promise<void> {
    const current = parseContext((await this.#run.row()).context)
    const operation = current === null || current.phase === 'ended' ? null : current.operation
    await this.#run.step('undoing')
    await this.#run.save({
      ...context,
      phase: 'undoing',
      failure,
      // What a VM that was half made is removed with is another operation.
      operation: context.doneCount > 0 ? null : operation,
    })
  }

  async #latest(task: OpenTask): Promise<OpenTask> {
    const row = await this.#run.row()
    const context = parseContext(row.context)
    return context === null || context.phase === 'ended' ? task : { ...task, row, context }
  }

  #failureOf(error: unknown): Failure {
    if (error instanceof CancelledError) return cancelled
    if (error instanceof ControlPlaneError) return { state: 'error', code: error.code, message: error.message }
    this.#work.log.error({ err: error, task: this.#run.id }, 'a task failed for a fault of ours')
    return {
      state: 'error',
      code: 'internal',
      message: "something failed on our side; the control plane's log has the cause",
    }
  }

  /** A host that turned out not to have the key, or not to take any, is one of the failures that have an event. */
  async #recordSendKeyError(task: OpenTask, outcome: Extract<Outcome, { kind: 'failed' }>): Promise<void> {
    if (outcome.code !== 'key-not-held' && outcome.code !== 'crypto-unsupported') return
    const failure = outcome.code === 'crypto-unsupported' ? 'incapable' : { error: new Error(outcome.message) }
    const key = task.key ?? plannedKey(task.context.key)
    await sendKeyError(this.#work, task.vm.hostName, failure, key, purposeOf(task.row, task.vm))
  }
}

const cancelled: Failure = { state: 'cancelled', code: 'cancelled', message: 'the task was cancelled' }

/** The KEK that the task is about. */
function keyOf(row: TaskRow, context: OpenContext): KeyReference | null {
  if (context.key.kind === 'existing') return context.key.key
  return keyReference(row.key_provider, row.key_id)
}

function agentFailure(vm: VmRecord, outcome: Extract<Outcome, { kind: 'failed' }>): Failure {
  if (outcome.code === 'cancelled') return cancelled
  return { state: 'error', code: failureCode(outcome.code), message: `host ${vm.hostName}: ${outcome.message}` }
}

function failureCode(code: Exclude<AgentFailureCode, 'cancelled'>): ControlPlaneErrorCode {
  switch (code) {
    case 'key-not-held':
      return 'send-key-failed'
    case 'crypto-unsupported':
      return 'host-incapable'
    case 'vm-busy':
      return 'vm-busy'
    case 'bad-image':
      return 'invalid'
    case 'interrupted':
    case 'refused':
    case 'datastore-mismatch':
    case 'no-space':
    case 'verification-failed':
    case 'io':
    case 'internal':
      return 'agent-failed'
  }
}
