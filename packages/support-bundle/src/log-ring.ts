/** What a log ring keeps when nobody says otherwise. */
const defaultSizeMax = 2_097_152

/** No line of a log is kept longer. */
const lineSizeMax = 16_384

/**
 * The last lines of a program's log, in memory: for programs whose log goes to standard error, where they cannot read it again.
 * The oldest go when there is more than `sizeBytesMax`.
 */
export class LogRing {
  readonly #sizeBytesMax: number
  readonly #lines: string[] = []
  #sizeBytes = 0
  #droppedCount = 0

  constructor(sizeBytesMax = defaultSizeMax) {
    this.#sizeBytesMax = sizeBytesMax
  }

  /** Takes a line, as pino writes it to a destination. */
  write(text: string): void {
    const line = text.replace(/\n$/, '').slice(0, lineSizeMax)
    this.#lines.push(line)
    this.#sizeBytes += line.length
    if (this.#sizeBytes <= this.#sizeBytesMax) return
    // A quarter at once, since taking from the front moves all the rest.
    let count = 0
    while (this.#sizeBytes > this.#sizeBytesMax * 0.75 && count < this.#lines.length - 1) {
      this.#sizeBytes -= this.#lines[count]?.length ?? 0
      count++
    }
    this.#lines.splice(0, count)
    this.#droppedCount += count
  }

  /** The oldest first. */
  get lines(): readonly string[] {
    return this.#lines
  }

  /** How many lines were dropped since the program started. */
  get droppedCount(): number {
    return this.#droppedCount
  }
}
