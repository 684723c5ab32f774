import { setTimeout as sleep } from 'node:timers/promises'
import type { MachineReport, MachineStatus } from '@cryptvisor/host-agent-api'
import { type RestClient, RestClientError } from '@cryptvisor/rest'

const retryMinMs = 250
const retryMaxMs = 30_000

/**
 * Tells the control plane how all machines are, when a session begins and each time one changes. What waits to be told is never more than
 * that: a report that could not be sent is followed by a newer one.
 */
export class MachineReports {
  readonly #statuses: () => MachineStatus[]
  readonly #hasSession: () => boolean
  #isDue = false
  #wake: () => void = () => undefined

  /** Without a session nothing is told: the next one begins with all. */
  constructor(statuses: () => MachineStatus[], hasSession: () => boolean) {
    this.#statuses = statuses
    this.#hasSession = hasSession
  }

  /** Something changed, or whoever is told may not know anything yet. */
  due(): void {
    this.#isDue = true
    this.#wake()
  }

  /** Sends reports as long as `signal` lets it; tries again, ever more slowly, what does not work. Never rejects. */
  async send(
    client: RestClient,
    bootId: string,
    log: { warn(fields: object, text: string): void },
    signal: AbortSignal,
  ): Promise<void> {
    for (let waitMs = retryMinMs; !signal.aborted; ) {
      if (!this.#isDue) await this.#untilDue(signal, null)
      if (signal.aborted) return
      this.#isDue = false
      if (!this.#hasSession()) continue
      try {
        const report: MachineReport = { bootId, machines: this.#statuses() }
        await client.call({ method: 'POST', path: '/v1/machines', json: report, signal })
        waitMs = retryMinMs
      } catch (error) {
        if (signal.aborted) return
        // A control plane of before has no such route.
        if (error instanceof RestClientError && error.status === 404) continue
        log.warn({ err: error }, 'the control plane could not be told how the VMs of this host are; trying again')
        await this.#untilDue(signal, waitMs)
        waitMs = Math.min(waitMs * 2, retryMaxMs)
        this.#isDue = true
      }
    }
  }

  /** Waits until something is due, or as long as is said. */
  async #untilDue(signal: AbortSignal, waitMs: number | null): Promise<void> {
    const over = new AbortController()
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const stop = AbortSignal.any([signal, over.signal])
    stop.addEventListener('abort', () => resolve(), { once: true })
    if (waitMs !== null) void sleep(waitMs, undefined, { signal: stop }).then(resolve, resolve)
    if (signal.aborted) resolve()
    await promise
    over.abort()
    this.#wake = () => undefined
  }
}
