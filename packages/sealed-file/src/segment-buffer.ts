import { secretBytes } from '@cryptvisor/secret'

/** Gathers chunks of any size into pieces of the sizes asked for. */
export class SegmentBuffer {
  readonly #chunks: Uint8Array[] = []
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return
    this.#chunks.push(chunk)
    this.#sizeBytes += chunk.length
  }

  /** The first `sizeBytes` bytes, which must be there, in an array of their own. */
  take(sizeBytes: number): Uint8Array {
    const piece = secretBytes(sizeBytes)
    let filled = 0
    while (filled < sizeBytes) {
      const chunk = this.#chunks[0]
      if (chunk === undefined) throw new RangeError(`${sizeBytes} bytes asked for, ${filled} there`)
      const part = chunk.subarray(0, sizeBytes - filled)
      piece.set(part, filled)
      filled += part.length
      if (part.length === chunk.length) this.#chunks.shift()
      else this.#chunks[0] = chunk.subarray(part.length)
    }
    this.#sizeBytes -= sizeBytes
    return piece
  }
}
