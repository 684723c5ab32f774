/** Lets one holder at a time act under the same key, in the order in which they came. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>()

  async run<Result>(key: string, act: () => Promise<Result>): Promise<Result> {
    const before = this.#tails.get(key) ?? Promise.resolve()
    const result = before.then(act)
    // The next one does not care how this one ended.
    const tail = result.then(
      () => undefined,
      () => undefined,
    )
    this.#tails.set(key, tail)
    try {
      return await result
    } finally {
      if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }
}
