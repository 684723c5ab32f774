const wordSizeBytes = 8
const laneWordsStart = 3

/**
 * What the lanes of one job share, in whatever thread they run: which chunk comes next, how many bytes are done, whether to
 * stop. A chunk is taken once; the job's chunks are taken in order and may end in another.
 */
export class JobControl {
  /** What another thread makes its own of. */
  readonly memory: SharedArrayBuffer
  /** Stop (0 or 1); next chunk; bytes done; then for each lane the chunk that it works on. */
  readonly #words: BigInt64Array

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory
    this.#words = new BigInt64Array(memory)
  }

  /** For a job of which `doneBytes` bytes, none of its chunks, are done already. */
  static start(laneCount: number, doneBytes: number): JobControl {
    const control = new JobControl(new SharedArrayBuffer((laneWordsStart + laneCount) * wordSizeBytes))
    Atomics.store(control.#words, 2, BigInt(doneBytes))
    return control
  }

  stop(): void {
    Atomics.store(this.#words, 0, 1n)
  }

  get stopped(): boolean {
    return Atomics.load(this.#words, 0) === 1n
  }

  /** Gives a lane its next chunk. */
  takeChunk(lane: number): number {
    const chunk = Atomics.add(this.#words, 1, 1n)
    Atomics.store(this.#words, laneWordsStart + lane, chunk)
    return Number(chunk)
  }

  /** The chunk is done. */
  add(sizeBytes: number): void {
    Atomics.add(this.#words, 2, BigInt(sizeBytes))
  }

  get doneBytes(): number {
    return Number(Atomics.load(this.#words, 2))
  }

  /** All chunks before this one are done, whatever else is. */
  get lowestOpenChunk(): number {
    let lowest = Atomics.load(this.#words, laneWordsStart)
    for (let word = laneWordsStart + 1; word < this.#words.length; word++) {
      const chunk = Atomics.load(this.#words, word)
      if (chunk < lowest) lowest = chunk
    }
    return Number(lowest)
  }
}
