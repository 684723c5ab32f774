import type { KeyDerivation } from './key-derivation.ts'

/** How much work and memory a header may ask for: whoever can write it chooses how long its key slots take. */
export interface WorkLimits {
  /** PBKDF2 iterations of all key slots and digests together that one attempt may take. */
  readonly iterationsMax: number
  /** Memory of one Argon2 key slot. */
  readonly argon2MemoryKibMax: number
  /** Passes times memory of all Argon2 key slots together that one attempt may take. */
  readonly argon2WorkKibMax: number
}

/**
 * Enough for all eight slots that QEMU's formatter can make on today's machines (10 million iterations each), for
 * cryptsetup's largest default of Argon2 memory, and for some minutes of either.
 */
export const defaultWorkLimits: WorkLimits = {
  iterationsMax: 200_000_000,
  argon2MemoryKibMax: 1_048_576,
  argon2WorkKibMax: 256 * 1_048_576,
}

/** Counts the work of one attempt to open a volume. */
export class WorkBudget {
  readonly #limits: WorkLimits
  #iterations = 0
  #argon2WorkKib = 0

  constructor(limits: WorkLimits) {
    this.#limits = limits
  }

  /** Takes the work of `derivation` out of the budget; gives the reason when it does not fit, and takes nothing. */
  refuse(derivation: KeyDerivation): string | null {
    if (derivation.type === 'pbkdf2') {
      const iterations = this.#iterations + derivation.iterations
      if (iterations > this.#limits.iterationsMax) {
        return `${derivation.iterations} PBKDF2 iterations are more than is left of ${this.#limits.iterationsMax}`
      }
      this.#iterations = iterations
      return null
    }
    const { memoryKib, passes } = derivation
    if (memoryKib > this.#limits.argon2MemoryKibMax) {
      return `${memoryKib} KiB of Argon2 memory are more than ${this.#limits.argon2MemoryKibMax}`
    }
    const workKib = this.#argon2WorkKib + memoryKib * passes
    if (workKib > this.#limits.argon2WorkKibMax) {
      return `${passes} Argon2 passes over ${memoryKib} KiB are more than is left of ${this.#limits.argon2WorkKibMax} KiB`
    }
    this.#argon2WorkKib = workKib
    return null
  }
}
