import { pause } from '../../pause.ts'
import type { WorkContext } from '../context.ts'
import type { Compliance } from './compliance.ts'
import type { KeyRevocations } from './key-revocations.ts'

/**
 * Looks again and again, until the control plane stops, whether the grace of a VM whose key was revoked is over, and, now and
 * then, whether all VMs comply with their policies: keys grow old by themselves.
 */
export class PolicyWatch {
  readonly #work: WorkContext
  readonly #revocations: KeyRevocations
  readonly #compliance: Compliance
  #ended: Promise<void> = Promise.resolve()

  constructor(work: WorkContext, revocations: KeyRevocations, compliance: Compliance) {
    this.#work = work
    this.#compliance = compliance
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
    const { stopping, timings, log, clock } = this.#work
    let checkedAt = Number.NEGATIVE_INFINITY
    while (!stopping.aborted) {
      try {
        await this.#revocations.enforceDue()
        if (clock() - checkedAt >= timings.complianceMs) {
          checkedAt = clock()
          await this.#compliance.check(null)
        } else await this.#compliance.checkOpened()
      } catch (error) {
        if (!stopping.aborted) log.error({ err: error }, 'VMs could not be compared with their policies')
      }
      await pause(timings.policyWatchMs, stopping).catch(() => undefined)
    }
  }
}
