/** What a decoder accepts at most; everything that comes from outside is held against these. */
export interface Limits {
  /** How deep structures may lie inside each other. */
  readonly depthMax: number
  /** How many items, structures included, one message may have. */
  readonly itemCountMax: number
  /** How many bytes one message may have, its own header included. */
  readonly messageSizeMax: number
}

export const depthMax = 32
export const itemCountMax = 100_000
export const messageSizeMax = 1_048_576

/** The limits that hold where nothing else is said. */
export const defaultLimits: Limits = { depthMax, itemCountMax, messageSizeMax }
