/** Over how long the rate is taken. */
const windowMs = 10_000

/** How many looks back it takes at most. */
const samplesMax = 64

/** The least between two looks that are kept. */
const sampleIntervalMs = 250

/** How far an operation has come, for whoever watches it. */
export class Progress {
  /** In words, such as «encrypting disk 0». */
  step = 'starting'
  totalBytes = 0
  readonly #nowMs: () => number
  /** Of each piece of work, under a name of its own. */
  readonly #doneBytes = new Map<string, number>()
  readonly #samples: { readonly atMs: number; readonly doneBytes: number }[] = []

  /** `nowMs` is a steady clock. */
  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs
  }

  get doneBytes(): number {
    let sum = 0
    for (const doneBytes of this.#doneBytes.values()) sum += doneBytes
    return Math.min(sum, this.totalBytes)
  }

  /** Says what is being done. */
  begin(step: string): void {
    this.step = step
  }

  /** `doneBytes` of that piece of work are done. */
  advance(piece: string, doneBytes: number): void {
    this.#doneBytes.set(piece, doneBytes)
    this.#sample()
  }

  /** Bytes a second over the last seconds; `null` while that is not known. */
  get bytesPerSecond(): number | null {
    const first = this.#samples.find(({ atMs }) => atMs >= this.#nowMs() - windowMs)
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || last.atMs <= first.atMs) return null
    return Math.round(((last.doneBytes - first.doneBytes) * 1000) / (this.#nowMs() - first.atMs))
  }

  /** At that rate, for what is left; `null` while that is not known. */
  get secondsLeft(): number | null {
    const rate = this.bytesPerSecond
    if (rate === null || rate === 0) return null
    return Math.ceil((this.totalBytes - this.doneBytes) / rate)
  }

  /** What was done before now says nothing of the rate: it paused, or begins where an earlier try stood. */
  restartRate(): void {
    this.#samples.length = 0
  }

  #sample(): void {
    const atMs = this.#nowMs()
    const last = this.#samples.at(-1)
    if (last !== undefined && atMs - last.atMs < sampleIntervalMs) return
    this.#samples.push({ atMs, doneBytes: this.doneBytes })
    if (this.#samples.length > samplesMax) this.#samples.shift()
  }
}
