import { QmpError } from './qmp-error.ts'
import type { QmpEvent } from './qmp-event.ts'

/** How many past events are kept for those who look back at a mark. */
export const eventsKeptMax = 1024

/** A moment between two events of one connection. */
export interface Mark {
  readonly eventCount: number
}

/** The last events of a connection, so that one who first asks and then waits misses nothing that came between. */
export class EventLog {
  readonly #keptMax: number
  readonly #kept: QmpEvent[] = []
  #droppedCount = 0

  constructor(keptMax = eventsKeptMax) {
    this.#keptMax = keptMax
  }

  /** Now. */
  mark(): Mark {
    return { eventCount: this.#droppedCount + this.#kept.length }
  }

  add(event: QmpEvent): void {
    this.#kept.push(event)
    if (this.#kept.length <= this.#keptMax) return
    this.#kept.shift()
    this.#droppedCount++
  }

  /**
   * The first event after `since` that `matches`; `null` when there is none. Throws QmpError `events-lost` when there is none among those
   * kept and some were dropped.
   */
  firstSince<Event extends QmpEvent>(since: Mark, matches: (event: QmpEvent) => event is Event): Event | null {
    const found = this.#kept.slice(Math.max(0, since.eventCount - this.#droppedCount)).find(matches)
    if (found !== undefined) return found
    if (since.eventCount >= this.#droppedCount) return null
    throw new QmpError(
      'events-lost',
      `QEMU had more than ${this.#keptMax} events since, and some were dropped; ask it how things are`,
    )
  }
}
