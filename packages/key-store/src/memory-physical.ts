import type { Area, Physical } from './physical.ts'

/** Entries in memory, for tests and simulations. */
export class MemoryPhysical implements Physical {
  readonly #entries = new Map<string, Uint8Array>()

  async read(area: Area, id: string): Promise<Uint8Array | null> {
    const found = this.#entries.get(`${area}/${id}`)
    return found === undefined ? null : Uint8Array.from(found)
  }

  async write(area: Area, id: string, bytes: Uint8Array): Promise<void> {
    this.#entries.set(`${area}/${id}`, Uint8Array.from(bytes))
  }

  async erase(area: Area, id: string): Promise<void> {
    this.#entries.get(`${area}/${id}`)?.fill(0)
    this.#entries.delete(`${area}/${id}`)
  }
}
