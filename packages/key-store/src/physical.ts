/** What kinds of entries there are. Each kind may lie in a place of its own. */
export type Area = 'keyring' | 'wrapping-key' | 'value'

/**
 * Where sealed bytes lie. An entry is named by its area and an id of 1 to 100 letters, digits, `-`, `_` and `.`, not
 * beginning with a dot. What `write` and `erase` did is on stable storage when they return, or, for an implementation
 * over a transaction, when the transaction ends. `exercisePhysical` is the test of every implementation.
 */
export interface Physical {
  /** The entry, or `null` when it is not there. */
  read(area: Area, id: string): Promise<Uint8Array | null>
  /** Makes or replaces the entry, whole or not at all. */
  write(area: Area, id: string, bytes: Uint8Array): Promise<void>
  /** Removes the entry and overwrites it, as far as the medium can do that. Not an error when it is not there. */
  erase(area: Area, id: string): Promise<void>
}
