import { setTimeout as sleep } from 'node:timers/promises'
import type { OperationRequest, OperationStatus, VmAuthority } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { Pace } from '../data-path/index.ts'
import { ContentGate } from './content-gate.ts'
import type { Task } from './host.ts'
import { agentErrorOf, operationErrorOf } from './operation-error.ts'
import { PassphraseGate } from './passphrase-gate.ts'
import { Progress } from './progress.ts'

const retryMinMs = 1000
const retryMaxMs = 60_000

/** How an operation ended: with the VM as it is now (`null`: deleted), or `unknown`, which leaves no trace. */
export type Outcome =
  | { readonly state: 'done'; readonly vm: VmAuthority | null }
  | { readonly state: 'failed'; readonly error: OperationStatus['error'] }
  | { readonly state: 'unknown' }

/** What an operation tells the log. */
export interface OperationLog {
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

/** One operation in this agent's memory: what was asked, how far it is, how it ended. */
export class Operation implements Task {
  readonly id: string
  readonly request: OperationRequest
  readonly progress = new Progress()
  readonly pace = new Pace()
  /** Where the content of an import arrives. */
  readonly gate = new ContentGate()
  /** Where the passphrase of a volume arrives; wiped when the operation has ended. */
  readonly passphrases = new PassphraseGate()
  /** Aborted when it is cancelled, or the agent stops. */
  readonly signal: AbortSignal
  readonly stopping: AbortSignal
  readonly #cancelling = new AbortController()
  readonly #log: OperationLog
  #outcome: Outcome | null = null
  #ended: Promise<void> = Promise.resolve()

  /** `stopping` is aborted when the agent stops. */
  constructor(id: string, request: OperationRequest, stopping: AbortSignal, log: OperationLog) {
    this.id = id
    this.request = request
    this.signal = AbortSignal.any([this.#cancelling.signal, stopping])
    this.stopping = stopping
    this.#log = log
  }

  get running(): boolean {
    return this.#outcome === null
  }

  /** How it stands, for the control plane. */
  get status(): OperationStatus {
    const outcome = this.#outcome
    const { step, doneBytes, totalBytes, bytesPerSecond, secondsLeft } = this.progress
    const moves = outcome === null && !this.pace.paused
    return {
      operationId: this.id,
      state: outcome?.state ?? (this.#waits ? 'waiting-for-content' : 'running'),
      step: outcome === null || outcome.state === 'done' ? step : outcome.state,
      doneBytes,
      totalBytes,
      bytesPerSecond: moves ? bytesPerSecond : null,
      secondsLeft: moves ? secondsLeft : null,
      paused: outcome === null && this.pace.paused,
      vm: outcome?.state === 'done' ? outcome.vm : null,
      error: outcome?.state === 'failed' ? outcome.error : null,
    }
  }

  /** Whether it waits for something that is to be sent. */
  get #waits(): boolean {
    return this.gate.waiting || this.passphrases.waiting
  }

  /** Resolves when it has ended, and never rejects. */
  get ended(): Promise<void> {
    return this.#ended
  }

  /** Does the work, to an outcome in any case. Called once. */
  run(work: (task: Task) => Promise<Outcome>): void {
    const fields = { operationId: this.id, kind: this.request.kind, vm: this.request.vm.vmId }
    this.#log.info(fields, 'operation begins')
    this.#ended = work(this)
      .finally(() => this.passphrases[Symbol.dispose]())
      .then(
        (outcome) => {
          this.#outcome = outcome
          this.#log.info({ ...fields, state: outcome.state }, 'operation ended')
        },
        (error: unknown) => {
          if (error instanceof AgentError && error.code === 'left') this.#log.info(fields, 'operation left for later')
          else this.#outcome = this.#failure(error)
        },
      )
  }

  /** Asks it to stop; without effect after its commit. */
  cancel(): void {
    this.#cancelling.abort(new AgentError('cancelled', 'cancelled; everything is as it was'))
  }

  /** Holds it back where it moves data; it can be cancelled meanwhile. */
  pause(): void {
    this.pace.pause()
  }

  /** Lets it go on. */
  resume(): void {
    if (this.pace.paused) this.progress.restartRate()
    this.pace.resume()
  }

  /** How fast it may move data from now on; `null`: as fast as the machine. */
  limit(bytesPerSecondMax: number | null): void {
    this.pace.limit(bytesPerSecondMax)
    this.progress.restartRate()
  }

  async passphrase(): Promise<Secret> {
    this.progress.begin('waiting for the passphrase')
    return await this.passphrases.wait(this.signal)
  }

  async content(): Promise<AsyncIterable<Uint8Array>> {
    this.progress.begin('waiting for the content')
    return await this.gate.wait(this.signal)
  }

  async insist<Result>(step: string, action: () => Promise<Result>): Promise<Result> {
    for (let waitMs = retryMinMs; ; waitMs = Math.min(waitMs * 2, retryMaxMs)) {
      this.progress.begin(step)
      try {
        return await action()
      } catch (error) {
        const { code, message, cause } = agentErrorOf(error)
        this.progress.begin(`${step}: trying again, ${message}`)
        const fields = { operationId: this.id, step, reason: message }
        this.#log.warn(
          code === 'internal' ? { ...fields, err: cause ?? error } : fields,
          'what has to be done does not work yet',
        )
        await sleep(waitMs, undefined, { signal: this.stopping }).catch(() => {})
        if (this.stopping.aborted) throw new AgentError('left', `${step}: not done before the agent stopped`)
      }
    }
  }

  #failure(error: unknown): Outcome {
    const found = agentErrorOf(error)
    // Whoever stopped us knows the reason better than whoever was stopped.
    const { code, message } = operationErrorOf(found.code === 'cancelled' ? (this.signal.reason ?? found) : found)
    const fields = { operationId: this.id, kind: this.request.kind, code, reason: message }
    if (code === 'internal')
      this.#log.error({ ...fields, err: found.cause ?? found }, 'operation failed by our own fault')
    else this.#log.warn(fields, 'operation failed')
    return { state: 'failed', error: { code, message } }
  }
}
