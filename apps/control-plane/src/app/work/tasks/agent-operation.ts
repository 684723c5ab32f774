import type { OperationStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import { RestClientError } from '@cryptvisor/rest'
import { ControlPlaneError } from '../../control-plane-error.ts'
import { pause } from '../../pause.ts'
import type { HostConnection } from '../../ports.ts'
import type { WorkContext } from '../context.ts'
import type { HandOver } from '../hosts/hand-over.ts'
import type { Purpose } from '../keys/kms.ts'
import { Outages } from '../keys/outages.ts'
import { retryDelayMs } from '../retry-delay.ts'
import { keysNeeded } from './operation-request.ts'
import { checkOutcome } from './outcome-check.ts'
import type { AskedOperation } from './task-context.ts'
import type { TaskRun } from './task-run.ts'

/** After this time an operation is looked at for the first time: it may be a short one. */
const firstPollMs = 50

/** How an agent's operation ended. `unclear`: it may have happened; nothing may be undone. */
export type Outcome =
  | { readonly kind: 'done'; readonly vm: VmAuthority | null }
  | { readonly kind: 'failed'; readonly code: AgentFailureCode; readonly message: string }
  | { readonly kind: 'unclear'; readonly message: string }

export type AgentFailureCode = NonNullable<OperationStatus['error']>['code']

/** What is asked of which host, and for which task. */
export interface AgentTask {
  readonly run: TaskRun
  /** Asks for the operation to be cancelled. */
  readonly cancelling: AbortSignal
  readonly asked: AskedOperation
  readonly host: { readonly id: string; readonly purpose: Purpose }
}

/** The host whose session ended, or that started anew, in the middle of an operation. */
class HostGoneError extends Error {
  override readonly name = 'HostGoneError'
}

/**
 * Has a host's agent carry out one operation and finds out how it ended, whatever happens to host, network and control
 * plane meanwhile. Only a definite answer counts: without one it waits for the host.
 */
export class AgentOperation {
  readonly #work: WorkContext
  readonly #handOver: HandOver
  readonly #run: TaskRun
  readonly #cancelling: AbortSignal
  readonly #hostId: string
  /** By name. */
  readonly #host: string
  readonly #purpose: Purpose
  readonly #acknowledge: () => Promise<void>
  #asked: AskedOperation

  /** `acknowledge` puts on record that the agent answered. */
  constructor(work: WorkContext, handOver: HandOver, what: AgentTask, acknowledge: () => Promise<void>) {
    this.#work = work
    this.#handOver = handOver
    this.#run = what.run
    this.#cancelling = what.cancelling
    this.#hostId = what.host.id
    this.#host = what.host.purpose.host ?? 'the host'
    this.#purpose = { ...what.host.purpose, outages: new Outages() }
    this.#asked = what.asked
    this.#acknowledge = acknowledge
  }

  /** `fresh`: it was never asked for. Throws only when the control plane stops, or for the database. */
  async outcome(fresh: boolean): Promise<Outcome> {
    let recovering = !fresh
    for (let failureCount = 0; ; ) {
      const connection = await this.#connection()
      try {
        const outcome = recovering ? await this.#recover(connection) : await this.#start(connection)
        if (outcome !== 'ask-again' && outcome !== 'forgotten') return outcome
        recovering = outcome === 'forgotten'
        failureCount = 0
      } catch (error) {
        this.#work.stopping.throwIfAborted()
        if (!isTransient(error)) throw error
        recovering = true
        this.#work.log.warn({ err: error, task: this.#run.id, host: this.#host }, 'an operation has no outcome yet')
        if (!(error instanceof HostGoneError)) {
          await this.#run.step(`waiting for ${this.#host}: ${error.message}`)
          await pause(retryDelayMs(this.#work.timings, failureCount++), this.#work.stopping)
        }
      }
    }
  }

  async #connection(): Promise<HostConnection> {
    const connected = this.#work.hostConnections.get(this.#hostId)
    if (connected !== null) return connected
    await this.#run.step(`waiting for ${this.#host} to come back`)
    return this.#work.hostConnections.waitFor(this.#hostId, this.#work.stopping)
  }

  async #start(connection: HostConnection): Promise<Outcome | 'forgotten'> {
    let status: OperationStatus
    try {
      status = await connection.client.startOperation(this.#asked.id, this.#asked.request)
    } catch (error) {
      if (isRefusal(error)) return { kind: 'failed', code: 'refused', message: error.message }
      throw error
    }
    await this.#acknowledged()
    return this.#follow(connection, status)
  }

  /**
   * Brings the operation to an end on a host that may have started anew. `ask-again`: the agent was never asked for it,
   * as far as it knows; `forgotten`: it has to be brought to an end once more.
   */
  async #recover(connection: HostConnection): Promise<Outcome | 'ask-again' | 'forgotten'> {
    const { id, request } = this.#asked
    try {
      await this.#handOver.ensureHeld({ name: this.#host }, connection, keysNeeded(request), this.#purpose)
    } catch (error) {
      // A key that is gone for good is no reason to wait: the agent may need none to undo.
      if (!(error instanceof ControlPlaneError) || error.code !== 'key-missing') throw error
    }
    const { aborted } = this.#cancelling
    let status: OperationStatus
    try {
      status = await connection.client.recoverOperation(id, request)
    } catch (error) {
      // Somebody has to look at the files: whoever cancels the task says that they will.
      if (aborted && isAboutFiles(error)) return { kind: 'unclear', message: error.message }
      throw error
    }
    if (status.state === 'failed' && status.error?.code === 'key-not-held') {
      throw new ControlPlaneError('send-key-failed', status.error.message)
    }
    if (status.state !== 'unknown') {
      await this.#acknowledged()
      return this.#follow(connection, status)
    }
    // A VM that is to go, and is there, goes: that it was asked for before changes nothing.
    if (!aborted && (!this.#asked.acknowledged || request.kind === 'delete-vm')) return 'ask-again'
    return this.#verifyNothingDone(
      connection,
      aborted ? 'the task was cancelled' : `the agent of ${this.#host} started anew before it had changed anything`,
    )
  }

  async #acknowledged(): Promise<void> {
    if (this.#asked.acknowledged) return
    this.#asked = { ...this.#asked, acknowledged: true }
    await this.#acknowledge()
  }

  /** Follows an operation that the agent knows, to its end. */
  async #follow(connection: HostConnection, first: OperationStatus): Promise<Outcome | 'forgotten'> {
    this.#run.operation = { id: this.#asked.id, hostId: this.#hostId, host: this.#host }
    try {
      return await this.#followOn(connection, first)
    } finally {
      this.#run.operation = null
    }
  }

  async #followOn(connection: HostConnection, first: OperationStatus): Promise<Outcome | 'forgotten'> {
    let status = first
    let cancelSent = false
    for (let lookCount = 0; ; lookCount++) {
      this.#run.noteStatus(status)
      if (status.state === 'unknown') return 'forgotten'
      if (status.state === 'done' || status.state === 'failed') return this.#judge(status, connection)
      if (status.state === 'waiting-for-content') this.#run.content.open({ connection, operationId: this.#asked.id })
      if (!cancelSent && (this.#cancelling.aborted || this.#run.content.problem() !== null)) {
        cancelSent = true
        status = await connection.client.cancelOperation(this.#asked.id)
        continue
      }
      await this.#rest(cancelSent, lookCount)
      const now = this.#work.hostConnections.get(this.#hostId)
      if (now === null || now.bootId !== connection.bootId) throw new HostGoneError(`${this.#host} is gone`)
      try {
        status = await now.client.operation(this.#asked.id)
      } catch (error) {
        if (error instanceof RestClientError && error.status === 404) return 'forgotten'
        throw error
      }
    }
  }

  /** Waits until the next look, at first not as long; nor when the task is cancelled meanwhile. */
  async #rest(cancelSent: boolean, lookCount: number): Promise<void> {
    const { stopping, timings } = this.#work
    const wake = cancelSent ? stopping : AbortSignal.any([stopping, this.#cancelling])
    try {
      await pause(Math.min(timings.pollMs, firstPollMs * 2 ** Math.min(lookCount, 10)), wake)
    } catch (error) {
      stopping.throwIfAborted()
      if (!wake.aborted) throw error
    }
  }

  async #judge(status: OperationStatus, connection: HostConnection): Promise<Outcome> {
    if (status.state === 'done') {
      const wrong = checkOutcome(this.#asked.request, status.vm)
      if (wrong === null) return { kind: 'done', vm: status.vm }
      return {
        kind: 'unclear',
        message: `host ${this.#host} says that it is done, and that the VM is not as it was asked for: ${wrong}`,
      }
    }
    const { code, message } = status.error ?? { code: 'internal' as const, message: 'the agent gave no reason' }
    if (code === 'interrupted') return this.#verifyNothingDone(connection, message)
    const problem = this.#run.content.problem()
    if (code === 'cancelled' && problem !== null && !this.#cancelling.aborted) {
      return { kind: 'failed', code: 'bad-image', message: problem }
    }
    return { kind: 'failed', code, message }
  }

  /**
   * The agent started anew and says that nothing was done. Before anything is undone because of that, it has to find the
   * VM as the database knows it.
   */
  async #verifyNothingDone(connection: HostConnection, message: string): Promise<Outcome> {
    const { request } = this.#asked
    const cancelled = this.#cancelling.aborted
    const nothing: Outcome = { kind: 'failed', code: cancelled ? 'cancelled' : 'interrupted', message }
    if (request.kind === 'create-vm' || request.kind === 'clone-vm' || request.kind === 'delete-vm') return nothing
    // Its VM was locked before, as may be; a header that is there in part is restored again.
    if (request.kind === 'restore-header') return nothing
    // It may be locked because of the disk that is to go, or of another.
    if (request.kind === 'detach-disk' || request.kind === 'change-policies') return nothing
    const { state, reason } = await connection.client.unlock(request.vm)
    if (state === 'unlocked' || reason?.code === 'key-not-held') return nothing
    return {
      kind: 'unclear',
      message: `${message}, and yet the VM's files are not as they were: ${reason?.text ?? 'it is locked'}`,
    }
  }
}

/** The agent did not begin: a status of 4xx, apart from «not now», says so. Whatever else fails, it may have. */
function isRefusal(error: unknown): error is RestClientError {
  return error instanceof RestClientError && error.status !== undefined && error.status < 500 && error.status !== 429
}

/** The VM's files, or its device, are neither as they were nor as they should be. */
function isAboutFiles(error: unknown): error is RestClientError {
  return error instanceof RestClientError && fileCodes.has(error.answerCode ?? '')
}

const fileCodes: ReadonlySet<string> = new Set(['datastore-mismatch', 'file-missing', 'refused'])

/** Waiting may help: the host is not to be reached, or cannot say yet. */
function isTransient(error: unknown): error is Error {
  return error instanceof RestClientError || error instanceof ControlPlaneError || error instanceof HostGoneError
}
