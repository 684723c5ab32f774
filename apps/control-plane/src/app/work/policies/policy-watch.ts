import { pause } from '../../pause.ts'
import type { WorkContext } from '../context.ts'
import type { KeyRevocations } from './key-revocations.ts'

/** Looks again and again whether the grace of a VM whose key was revoked is over, until the control plane stops. */
export class PolicyWatch {
  readonly #work: WorkContext
  readonly #revocations: KeyRevocations
  #ended: Promise<void> = Promise.resolve()

  constructor(work: WorkContext, revocations: KeyRevocations) {
    this.#work = work
    this.#revocations = revocations
  }

  start(): void {
    this.#ended = this.#watch()
  }

  /** Resolves when nothing goes on any more. */
  async stopped(): Promise<void> {
    await this.#ended
  }

  async #watch(): Promise<void> {
    const { stopping, timings, log } = this.#work
    while (!stopping.aborted) {
      try {
        await this.#revocations.enforceDue()
      } catch (error) {
        if (!stopping.aborted) log.error({ err: error }, 'VMs whose key was revoked could not be looked after')
      }
      await pause(timings.policyWatchMs, stopping).catch(() => undefined)
    }
  }
}
