import type { ConnectionRefusal } from '../server-event.ts'
import type { ServerLimits } from '../server-limits.ts'

/** Counts connections from their first packet on, so that one address cannot take them all. */
export class Admission {
  readonly #limits: ServerLimits
  readonly #ofAddress = new Map<string, number>()
  #count = 0

  constructor(limits: ServerLimits) {
    this.#limits = limits
  }

  /** Counts a connection in; when there are too many, why it is refused, and then it is not counted. */
  enter(address: string): ConnectionRefusal | null {
    const ofAddress = this.#ofAddress.get(address) ?? 0
    if (this.#count >= this.#limits.connectionsMax) return 'too-many-connections'
    if (ofAddress >= this.#limits.connectionsOfAddressMax) return 'too-many-connections-of-address'
    this.#count++
    this.#ofAddress.set(address, ofAddress + 1)
    return null
  }

  /** Counts a connection out that was counted in. */
  leave(address: string): void {
    const ofAddress = this.#ofAddress.get(address) ?? 0
    this.#count--
    if (ofAddress > 1) this.#ofAddress.set(address, ofAddress - 1)
    else this.#ofAddress.delete(address)
  }
}
