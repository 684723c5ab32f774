/** Remembers what is out of order now, so that it is told once and not at every new try. */
export class Outages {
  readonly #known = new Set<string>()

  /** Whether this is new; it is known from now on, until it is over. */
  begins(...what: readonly string[]): boolean {
    const name = JSON.stringify(what)
    if (this.#known.has(name)) return false
    this.#known.add(name)
    return true
  }

  /** Everything that begins with these words is in order again. */
  ended(...what: readonly string[]): void {
    const start = JSON.stringify(what).slice(0, -1)
    for (const name of this.#known) {
      if (name === `${start}]` || name.startsWith(`${start},`)) this.#known.delete(name)
    }
  }
}
