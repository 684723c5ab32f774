import { secretBytes } from '@cryptvisor/secret'
import { SealedFileError } from './sealed-file-error.ts'
import { SegmentBuffer } from './segment-buffer.ts'
import { type Binding, headerSizeBytes, Segments, segmentSizeBytes, tagSizeBytes } from './segments.ts'

/**
 * Opens a sealed file piece by piece. What `push` gives is authentic and in its place, but only `finish` tells that
 * nothing is missing at the end: act on nothing before that.
 */
export class Unsealer {
  readonly #binding: Binding
  readonly #pending = new SegmentBuffer()
  #segments: Segments | null = null
  #index = 0
  #finished = false

  constructor(binding: Binding) {
    this.#binding = binding
  }

  /** Takes the next ciphertext; gives the segments opened now. Throws a SealedFileError `bad-header` or `not-authentic`. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#checkOpen()
    this.#pending.push(chunk)
    if (this.#segments === null) {
      if (this.#pending.sizeBytes < headerSizeBytes) return []
      this.#segments = Segments.fromHeader(this.#binding, this.#pending.take(headerSizeBytes))
    }
    const opened: Uint8Array[] = []
    // A full segment may be the last one: the next byte tells.
    while (this.#pending.sizeBytes > this.#segmentSizeBytes()) {
      opened.push(this.#segments.unseal(this.#pending.take(this.#segmentSizeBytes()), this.#index, false))
      this.#index++
    }
    return opened
  }

  /** Opens the last segment. Throws a SealedFileError: `truncated`, or `not-authentic` for a cut between segments. */
  finish(): Uint8Array[] {
    this.#checkOpen()
    this.#finished = true
    if (this.#segments === null || this.#pending.sizeBytes < tagSizeBytes) {
      throw new SealedFileError('truncated', `a sealed file ends in its segment ${this.#index}, before the last tag`)
    }
    return [this.#segments.unseal(this.#pending.take(this.#pending.sizeBytes), this.#index, true)]
  }

  #segmentSizeBytes(): number {
    return segmentSizeBytes - (this.#index === 0 ? headerSizeBytes : 0)
  }

  #checkOpen(): void {
    if (this.#finished) throw new SealedFileError('finished', 'this sealed file was opened to its end')
  }
}

/**
 * Opens a whole sealed file: what it holds lies in the result alone, which the caller wipes where it is secret. Throws a SealedFileError when
 * any bit of the file, the key or the associated data is another.
 */
export function unseal(binding: Binding, sealed: Uint8Array): Uint8Array {
  const unsealer = new Unsealer(binding)
  const pieces = [...unsealer.push(sealed), ...unsealer.finish()]
  const plaintext = secretBytes(pieces.reduce((sum, piece) => sum + piece.length, 0))
  let at = 0
  for (const piece of pieces) {
    plaintext.set(piece, at)
    at += piece.length
    piece.fill(0)
  }
  return plaintext
}

/** Opens a stream, a segment at a time; see `Unsealer` for what may be done before its end. */
export async function* unsealStream(
  binding: Binding,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const unsealer = new Unsealer(binding)
  for await (const chunk of source) yield* unsealer.push(chunk)
  yield* unsealer.finish()
}
