import type { Clock } from '../../clock.ts'
import type { EventLog } from '../../events.ts'

/** No cause is kept that is longer. */
const textSizeMax = 500

/** Whether directories can be used: told when that changes, and not each time that it shows. */
export class SourceHealth {
  readonly #events: EventLog
  readonly #clock: Clock

  constructor(events: EventLog, clock: Clock) {
    this.#events = events
    this.#clock = clock
  }

  /** The source could not be asked, or its answer does not hold; `cause` holds nothing that a stranger wrote. */
  async failed(source: string, cause: string): Promise<void> {
    const text = cause.slice(0, textSizeMax)
    await this.#events.transaction(async (transaction, record) => {
      const row = await transaction
        .selectFrom('identity_source')
        .select(['failed_at', 'failure'])
        .where('name', '=', source)
        .executeTakeFirst()
      if (row === undefined || (row.failed_at !== null && row.failure === text)) return
      await transaction
        .updateTable('identity_source')
        .set({ failed_at: row.failed_at ?? this.#clock(), failure: text })
        .where('name', '=', source)
        .execute()
      // Another cause is another line in the source's own view, and no second alarm.
      if (row.failed_at !== null) return
      await record({ type: 'identity-source.failed', text: `${source} cannot be used now: ${text}` })
    })
  }

  /** The source answered as it should. */
  async works(source: string): Promise<void> {
    await this.#events.transaction(async (transaction, record) => {
      const { numUpdatedRows } = await transaction
        .updateTable('identity_source')
        .set({ failed_at: null, failure: null })
        .where('name', '=', source)
        .where('failed_at', 'is not', null)
        .executeTakeFirst()
      if (numUpdatedRows === 0n) return
      await record({ type: 'identity-source.recovered', text: `${source} can be used again` })
    })
  }
}
