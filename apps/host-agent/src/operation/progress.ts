/** How far an operation has come, for whoever watches it. */
export class Progress {
  /** In words, such as «encrypting disk 0». */
  step = 'starting'
  totalBytes = 0
  #finishedBytes = 0
  #currentBytes = 0

  get doneBytes(): number {
    return Math.min(this.#finishedBytes + this.#currentBytes, this.totalBytes)
  }

  /** Begins a part of the work. */
  begin(step: string): void {
    this.#finishedBytes += this.#currentBytes
    this.#currentBytes = 0
    this.step = step
  }

  /** `doneBytes` of the current part are done. */
  advance(doneBytes: number): void {
    this.#currentBytes = doneBytes
  }
}
