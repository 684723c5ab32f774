/** What of `node:test` is needed to tell a seed to whoever reads the test's report. */
interface Teller {
  diagnostic(message: string): void
}

/** Numbers that look random and come from a seed alone (Mulberry32): what was found once is found again. Not for keys. */
export class SeededRandom {
  readonly seed: number
  #state: number

  constructor(seed: number) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffff_ffff) throw new RangeError(`${seed} is no seed of 32 bits`)
    this.seed = seed
    this.#state = seed
  }

  /** The seed of CRYPTVISOR_TEST_SEED, else `seed`, told in the test's report. */
  static of(context: Teller, seed: number): SeededRandom {
    const given = process.env['CRYPTVISOR_TEST_SEED']
    const random = new SeededRandom(given === undefined ? seed : Number(given))
    context.diagnostic(`seed ${random.seed}; give it again as CRYPTVISOR_TEST_SEED`)
    return random
  }

  /** From 0 to 1, without 1. */
  fraction(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000
  }

  /** A whole number from 0 to `limit`, without `limit`. */
  below(limit: number): number {
    return Math.floor(this.fraction() * limit)
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  /** One of `items`, of which there is at least one. */
  pick<Item>(items: readonly Item[]): Item {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('there is nothing to pick from')
    return item
  }

  /** Bytes to fill a file with. */
  bytes(sizeBytes: number): Buffer {
    const words = new Uint32Array(Math.ceil(sizeBytes / 4))
    for (let at = 0; at < words.length; at++) words[at] = this.below(0x1_0000_0000)
    return Buffer.from(words.buffer, 0, sizeBytes)
  }

  toString(): string {
    return `seed ${this.seed}`
  }

  /** A generator of its own: what it is asked for leaves this one's course alone. */
  fork(): SeededRandom {
    return new SeededRandom(this.below(0x1_0000_0000))
  }
}
