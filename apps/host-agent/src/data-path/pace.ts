const microsecondsPerSecond = 1_000_000n
const nanosecondsPerMicrosecond = 1000n
const microsecondsPerMs = 1000

/** How long who is held back sleeps before looking again whether to go on, or to stop. */
const lookAgainMs = 200

const memorySizeBytes = 32

/** Where things lie in the memory, in words of 32 bits. */
const pausedWord = 0
const wakeWord = 1
const limitWord = 2

/**
 * How fast an operation may move data: held by the main thread, obeyed by the lanes of all its jobs in any thread, which
 * share its memory. Changes count at once, for those too that wait already.
 */
export class Pace {
  /** What another thread makes its own Pace of. */
  readonly memory: SharedArrayBuffer
  /** 1 while paused; a number that changes with every change, to wait on; one that changes with the limit. */
  readonly #words: Int32Array
  /** Bytes a second, 0 for no limit; then when the next bytes may go, in microseconds of the machine's steady clock. */
  readonly #numbers: BigInt64Array
  readonly #pauseListeners = new Set<() => void>()

  constructor(memory = new SharedArrayBuffer(memorySizeBytes)) {
    this.memory = memory
    this.#words = new Int32Array(memory, 0, 3)
    this.#numbers = new BigInt64Array(memory, 16, 2)
  }

  get paused(): boolean {
    return Atomics.load(this.#words, pausedWord) === 1
  }

  /** Holds all lanes back after the chunk that each works on. */
  pause(): void {
    Atomics.store(this.#words, pausedWord, 1)
    for (const listener of this.#pauseListeners) listener()
  }

  /** Calls `listener` after each `pause` of this object, until the result is disposed of. */
  onPause(listener: () => void): Disposable {
    this.#pauseListeners.add(listener)
    return { [Symbol.dispose]: () => this.#pauseListeners.delete(listener) }
  }

  resume(): void {
    Atomics.store(this.#words, pausedWord, 0)
    this.#wake()
  }

  /** Lets so many bytes go in a second, all lanes together; `null`: as many as they can. */
  limit(bytesPerSecondMax: number | null): void {
    Atomics.store(this.#numbers, 0, BigInt(bytesPerSecondMax ?? 0))
    Atomics.store(this.#numbers, 1, 0n)
    Atomics.add(this.#words, limitWord, 1)
    this.#wake()
  }

  /** Blocks this thread until `sizeBytes` may go, or `stopped` says that they need not any more. */
  awaitTurnSync(sizeBytes: number, stopped: () => boolean): void {
    for (const { wake, delayMs } of this.#delays(sizeBytes)) {
      if (stopped()) return
      Atomics.wait(this.#words, wakeWord, wake, delayMs)
    }
  }

  /** The same, while this thread does other things. */
  async awaitTurn(sizeBytes: number, stopped: () => boolean): Promise<void> {
    for (const { delayMs } of this.#delays(sizeBytes)) {
      if (stopped()) return
      await new Promise((resolve) => setTimeout(resolve, delayMs))
    }
  }

  /** Counts what went already without having been announced: who comes next waits for it. */
  count(sizeBytes: number): void {
    this.#takeTurn(sizeBytes)
  }

  /** Says again and again how long to wait, until `sizeBytes` may go. */
  *#delays(sizeBytes: number): Generator<{ readonly wake: number; readonly delayMs: number }, void> {
    let turn = this.#takeTurn(sizeBytes)
    for (;;) {
      const wake = Atomics.load(this.#words, wakeWord)
      if (turn.limit !== Atomics.load(this.#words, limitWord)) turn = this.#takeTurn(sizeBytes)
      const waitMs = this.paused ? lookAgainMs : Number(turn.startUs - nowUs()) / microsecondsPerMs
      if (waitMs <= 0) return
      yield { wake, delayMs: Math.min(waitMs, lookAgainMs) }
    }
  }

  /** Takes the next free time for `sizeBytes`, under the limit that counts now. */
  #takeTurn(sizeBytes: number): { readonly startUs: bigint; readonly limit: number } {
    for (;;) {
      const limit = Atomics.load(this.#words, limitWord)
      const rate = Atomics.load(this.#numbers, 0)
      if (rate === 0n) return { startUs: 0n, limit }
      const freeUs = Atomics.load(this.#numbers, 1)
      const waitUs = freeUs - nowUs()
      // What was not used is lost: after a rest there is no burst.
      const startUs = waitUs > 0n ? freeUs : freeUs - waitUs
      const endUs = startUs + (BigInt(sizeBytes) * microsecondsPerSecond) / rate
      if (Atomics.compareExchange(this.#numbers, 1, freeUs, endUs) === freeUs) return { startUs, limit }
    }
  }

  #wake(): void {
    Atomics.add(this.#words, wakeWord, 1)
    Atomics.notify(this.#words, wakeWord)
  }
}

function nowUs(): bigint {
  return process.hrtime.bigint() / nanosecondsPerMicrosecond
}
