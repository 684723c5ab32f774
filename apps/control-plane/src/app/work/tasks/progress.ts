/** One look at how far a task is. */
interface Sample {
  readonly atMs: number
  readonly doneBytes: number
}

/** What a running task shows that its row does not. */
export interface Progress {
  readonly step: string
  readonly doneBytes: number
  readonly totalBytes: number
  /** `null` until it can be said. */
  readonly rateBytesPerSecond: number | null
  readonly secondsLeft: number | null
}

/** The rate is that of the last so many milliseconds. */
const windowMs = 10_000
/** Less time than this says nothing about a rate. */
const windowMsMin = 500
const samplesMax = 100

/** How far one task is, with a rate over the last seconds. Lives in memory: it is told anew after a restart. */
export class ProgressMeter {
  #step = ''
  #totalBytes = 0
  #samples: Sample[] = []

  /** Takes a look at `atMs`. A new step or a smaller count starts the measurement afresh. */
  note(step: string, doneBytes: number, totalBytes: number, atMs: number): void {
    const last = this.#samples.at(-1)
    if (step !== this.#step || (last !== undefined && doneBytes < last.doneBytes)) this.#samples = []
    this.#step = step
    this.#totalBytes = totalBytes
    this.#samples.push({ atMs, doneBytes })
    const fresh = this.#samples.filter((sample) => sample.atMs >= atMs - windowMs)
    this.#samples = fresh.slice(-samplesMax)
  }

  show(): Progress {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    const doneBytes = last?.doneBytes ?? 0
    const elapsedMs = first === undefined || last === undefined ? 0 : last.atMs - first.atMs
    const rate =
      first === undefined || elapsedMs < windowMsMin ? null : ((doneBytes - first.doneBytes) * 1000) / elapsedMs
    return {
      step: this.#step,
      doneBytes,
      totalBytes: this.#totalBytes,
      rateBytesPerSecond: rate,
      secondsLeft: rate === null || rate === 0 ? null : Math.max(0, (this.#totalBytes - doneBytes) / rate),
    }
  }
}
