/** The power went: the machine does nothing more. */
export class PowerCut extends Error {
  override readonly name = 'PowerCut'

  constructor() {
    super('the power was cut')
  }
}

/** What programs ask of a storage. */
export type StorageCallKind =
  | 'open'
  | 'create'
  | 'make-folder'
  | 'stat'
  | 'names'
  | 'read'
  | 'write'
  | 'truncate'
  | 'allocate'
  | 'sync'
  | 'sync-folder'
  | 'rename'
  | 'link'
  | 'remove-file'
  | 'remove-folder'
  | 'lock'
  | 'free'

/** The kinds that leave an event in the trace. */
export const changingCalls: ReadonlySet<StorageCallKind> = new Set<StorageCallKind>([
  'create',
  'make-folder',
  'write',
  'truncate',
  'allocate',
  'sync',
  'sync-folder',
  'rename',
  'link',
  'remove-file',
  'remove-folder',
])

/** One call, as a fault is chosen by it. */
export interface StorageCall {
  readonly kind: StorageCallKind
  /** The path of what it is about; of a rename the new one. */
  readonly path: string
  /** How many calls came before it, and how many events. */
  readonly callCount: number
  readonly eventCount: number
  /** Of a read or a write. */
  readonly position?: number
  readonly sizeBytes?: number
}

/** What becomes of a call: an error with this code, at most so many bytes, or one bit of what was read turned over. */
export type FaultOutcome =
  | { readonly code: 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EROFS' | 'EACCES' }
  | { readonly sizeBytesMax: number }
  | { readonly flipBit: number }

/** A fault that is to come: at each call that `when` is true of, so many times. */
export interface Fault {
  readonly when: (call: StorageCall) => boolean
  readonly outcome: FaultOutcome
  readonly times: number
}

/** The faults that are to come; the first one that fits a call is taken. */
export class Faults {
  #faults: Fault[] = []

  add(fault: Fault): void {
    this.#faults.push(fault)
  }

  clear(): void {
    this.#faults = []
  }

  /** What becomes of a call; `null`: what it asks for. */
  take(call: StorageCall): FaultOutcome | null {
    const at = this.#faults.findIndex(({ when }) => when(call))
    const fault = this.#faults[at]
    if (fault === undefined) return null
    this.#faults.splice(at, 1, ...(fault.times > 1 ? [{ ...fault, times: fault.times - 1 }] : []))
    return fault.outcome
  }
}
