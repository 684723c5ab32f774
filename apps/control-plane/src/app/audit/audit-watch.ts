import type { AuditCheck } from '@cryptvisor/control-plane-api'
import type { EventLog } from '../events.ts'
import type { Log } from '../log.ts'
import type { AuditLog } from './audit-log.ts'

/** How often the whole chain is walked along, in milliseconds. */
const checkEveryMs = 6 * 3_600_000

/** Checks the audit again and again, and tells when it is not whole. */
export class AuditWatch {
  readonly #log: AuditLog
  readonly #events: EventLog
  readonly #ourLog: Log
  #told: string | null = null

  constructor(log: AuditLog, events: EventLog, ourLog: Log) {
    this.#log = log
    this.#events = events
    this.#ourLog = ourLog
  }

  /** Checks now. A chain that is broken makes an event, a second time only when it breaks elsewhere or was whole since. */
  async check(): Promise<AuditCheck> {
    const result = await this.#log.check()
    if (result.problem !== this.#told) {
      if (result.problem !== null) {
        await this.#events.record({
          type: 'audit.chain-broken',
          text: `The audit is not whole: ${result.problem}. Keep a copy of the database as evidence, compare with exports and forwarded records, and see who can write the database`,
        })
      } else if (this.#told !== null) {
        await this.#events.record({ type: 'audit.chain-whole', text: 'The audit is whole' })
      }
      this.#told = result.problem
    }
    return result
  }

  /** Checks now, and every six hours until the answer is disposed of. */
  keepChecking(): Disposable {
    const look = () =>
      void this.check().catch((error: unknown) => {
        this.#ourLog.error({ err: error }, 'the audit could not be checked')
      })
    look()
    const timer = setInterval(look, checkEveryMs)
    timer.unref()
    return { [Symbol.dispose]: () => clearInterval(timer) }
  }
}
