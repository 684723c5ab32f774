import type { OperationStatus } from '@cryptvisor/host-agent-api'

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
  /** No data is moved until it is resumed. */
  readonly paused: boolean
}

/** What a host says of an operation's pace. Its rate is exact; where it gives none, one is measured here. */
export type Pacing = Pick<OperationStatus, 'bytesPerSecond' | 'secondsLeft' | 'paused'>

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
  #pacing: Pacing | null = null

  /** Takes a look at `atMs`. A new step, a smaller count or a pause starts the measurement afresh. */
  note(step: string, doneBytes: number, totalBytes: number, atMs: number, pacing: Pacing | null = null): void {
    const last = this.#samples.at(-1)
    const afresh = step !== this.#step || pacing?.paused === true
    if (afresh || (last !== undefined && doneBytes < last.doneBytes)) this.#samples = []
    this.#step = step
    this.#pacing = pacing
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
    const measured =
      first === undefined || elapsedMs < windowMsMin ? null : ((doneBytes - first.doneBytes) * 1000) / elapsedMs
    const rate = this.#pacing?.bytesPerSecond ?? measured
    const measuredLeft = rate === null || rate === 0 ? null : Math.max(0, (this.#totalBytes - doneBytes) / rate)
    return {
      step: this.#step,
      doneBytes,
      totalBytes: this.#totalBytes,
      rateBytesPerSecond: rate,
      secondsLeft: this.#pacing?.secondsLeft ?? measuredLeft,
      paused: this.#pacing?.paused ?? false,
    }
  }
}
