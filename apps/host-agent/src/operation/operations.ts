import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { OperationRequest, OperationStatus } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { sayingWhyBusy } from './busy-text.ts'
import { deleteVm, recoverDeletion } from './delete-vm.ts'
import { forgetJournal } from './forget-journal.ts'
import type { OperationHost, Task } from './host.ts'
import { contentBytesOf } from './incoming.ts'
import { bearsRunning } from './lent-machine.ts'
import { Operation, type OperationLog, type Outcome } from './operation.ts'
import { agentErrorOf, operationErrorOf } from './operation-error.ts'
import { type Recovery, recoverChange } from './recover-change.ts'
import { runChange } from './run-change.ts'

/** How many operations an agent remembers, running or ended. */
export const operationsMax = 10_000

/** How long a call waits for a recovery; longer ones are asked for by their status. */
const recoveryWaitMs = 15_000

/** The operations of this agent since its start. */
export class Operations implements AsyncDisposable {
  readonly #host: OperationHost
  readonly #log: OperationLog
  readonly #stopping = new AbortController()
  readonly #operations = new Map<string, Operation>()

  constructor(host: OperationHost, log: OperationLog) {
    this.#host = host
    this.#log = log
  }

  /** Starts an operation; the same again gives its status. Throws AgentError `operation-conflict`, `too-many`, `stopping`. */
  start(id: string, request: OperationRequest): OperationStatus {
    const known = this.#known(id, request)
    if (known !== null) return known.status
    const operation = this.#admit(id, request)
    operation.run((task) => execute(this.#host, task, id, request))
    return operation.status
  }

  /** Throws AgentError `no-such-operation`. */
  status(id: string): OperationStatus {
    return this.#get(id).status
  }

  /** The last that were started, at most `countMax`: how each stands, and what it is. */
  recent(countMax: number): { kind: OperationRequest['kind']; status: OperationStatus }[] {
    return [...this.#operations.values()]
      .slice(-countMax)
      .map(({ request, status }) => ({ kind: request.kind, status }))
  }

  /** Asks an operation to stop; it ends `failed` with `cancelled`, or `done` when that comes too late. */
  cancel(id: string): OperationStatus {
    const operation = this.#get(id)
    operation.cancel()
    return operation.status
  }

  /** Holds an operation back where it moves data, until it is resumed or cancelled. One that has ended stays as it is. */
  pause(id: string): OperationStatus {
    const operation = this.#get(id)
    operation.pause()
    return operation.status
  }

  /** Lets an operation go on that was paused; fine when it was not. */
  resume(id: string): OperationStatus {
    const operation = this.#get(id)
    operation.resume()
    return operation.status
  }

  /** Says how fast an operation may move data from now on; `null`: as fast as the machine. */
  limit(id: string, bytesPerSecondMax: number | null): OperationStatus {
    const operation = this.#get(id)
    operation.limit(bytesPerSecondMax)
    return operation.status
  }

  /**
   * Gives an import its content, and waits until it has ended. `contentBytes` is how much is announced, if it is. Throws
   * AgentError `not-waiting-for-content`, `bad-image` for another size than the one it waits for.
   */
  async content(id: string, content: Readable, contentBytes: number | null): Promise<OperationStatus> {
    const operation = this.#get(id)
    const { request } = operation
    const expectedBytes = contentBytesOf(request)
    if (expectedBytes === null || !operation.running) {
      throw new AgentError('not-waiting-for-content', `operation ${id} does not wait for content`)
    }
    if (request.kind === 'import-volume' && !operation.passphrases.offered) {
      throw new AgentError('not-waiting-for-content', 'the passphrase of the volume comes before its content')
    }
    if (contentBytes !== null && contentBytes !== expectedBytes) {
      throw new AgentError('bad-image', `content-length: is ${contentBytes}, the import is for ${expectedBytes}`)
    }
    operation.gate.offer(content)
    await operation.ended
    return operation.status
  }

  /**
   * Gives an import the passphrase of its volume, which stays the caller's. Throws AgentError `not-waiting-for-content`,
   * `no-such-operation`.
   */
  passphrase(id: string, passphrase: Secret): void {
    const operation = this.#get(id)
    if (operation.request.kind !== 'import-volume' || !operation.running) {
      throw new AgentError('not-waiting-for-content', `operation ${id} does not wait for a passphrase`)
    }
    operation.passphrases.offer(passphrase)
  }

  /**
   * Brings an operation to its end that was running when an agent stopped; gives the status of one that this agent knows.
   * Throws AgentError where that cannot be done or told now: then it may be tried again.
   */
  async recover(id: string, request: OperationRequest): Promise<OperationStatus> {
    const known = this.#known(id, request)
    if (known !== null) return known.status
    const operation = this.#admit(id, request)
    const failures: unknown[] = []
    operation.run(async (task) => {
      try {
        const outcome = outcomeOf(await recover(this.#host, task, id, request))
        if (outcome.state === 'unknown') this.#operations.delete(id)
        return outcome
      } catch (error) {
        // It goes on when the agent is back.
        if (error instanceof AgentError && error.code === 'left') throw error
        // Not knowing is no outcome: whoever asks next starts a new recovery.
        this.#operations.delete(id)
        failures.push(error)
        throw error
      }
    })
    await Promise.race([operation.ended, sleep(recoveryWaitMs, undefined, { ref: false })])
    if (failures.length > 0) throw agentErrorOf(failures[0])
    return operation.status
  }

  /** The outcome is on record elsewhere. Throws AgentError `operation-runs`. */
  async forget(id: string): Promise<void> {
    const operation = this.#operations.get(id)
    if (operation === undefined) return
    if (operation.running)
      throw new AgentError('operation-runs', `operation ${id} runs; cancel it, or wait for its end`)
    try {
      await forgetJournal(this.#host, id, operation.request)
    } catch (error) {
      // It is at its end and does no harm; the next operation on the VM removes it.
      this.#log.warn({ operationId: id, reason: agentErrorOf(error).message }, 'the journal stays for now')
    }
    this.#operations.delete(id)
  }

  /** Stops all operations: what was not committed is undone, as far as that works at once. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort(new AgentError('stopping', 'the host’s agent was stopped; everything is as it was'))
    await Promise.all(Array.from(this.#operations.values(), ({ ended }) => ended))
  }

  #get(id: string): Operation {
    const operation = this.#operations.get(id)
    if (operation !== undefined) return operation
    throw new AgentError(
      'no-such-operation',
      `operation ${id}: this agent does not know it; it may have restarted since`,
    )
  }

  #known(id: string, request: OperationRequest): Operation | null {
    const operation = this.#operations.get(id)
    if (operation === undefined) return null
    if (isDeepStrictEqual(operation.request, request)) return operation
    throw new AgentError('operation-conflict', `operation ${id}: was started with another request; use a new ID`)
  }

  #admit(id: string, request: OperationRequest): Operation {
    if (this.#stopping.signal.aborted)
      throw new AgentError('stopping', 'this host’s agent is stopping; try again later')
    if (this.#operations.size >= operationsMax) this.#dropOldest()
    const operation = new Operation(id, request, this.#stopping.signal, this.#log)
    this.#operations.set(id, operation)
    return operation
  }

  /** Recovery tells the outcome of a dropped one again. */
  #dropOldest(): void {
    const ended = this.#operations.values().find((operation) => !operation.running)
    if (ended === undefined)
      throw new AgentError('too-many', `this host runs ${operationsMax} operations; try again later`)
    this.#operations.delete(ended.id)
  }
}

async function execute(host: OperationHost, task: Task, id: string, request: OperationRequest): Promise<Outcome> {
  const run = async () =>
    request.kind === 'delete-vm' ? await deleteVm(host, task, request) : await runChange(host, task, id, request)
  return { state: 'done', vm: await (bearsRunning(request) ? run() : sayingWhyBusy(host.machines, request.vm, run)) }
}

async function recover(host: OperationHost, task: Task, id: string, request: OperationRequest): Promise<Recovery> {
  return request.kind === 'delete-vm'
    ? await recoverDeletion(host, task, request)
    : await recoverChange(host, task, id, request)
}

function outcomeOf(recovery: Recovery): Outcome {
  if (recovery.state !== 'failed') return recovery
  if (recovery.error !== null) return { state: 'failed', error: operationErrorOf(recovery.error) }
  const message = 'the agent stopped before this operation was committed; everything is as it was'
  return { state: 'failed', error: { code: 'interrupted', message } }
}
