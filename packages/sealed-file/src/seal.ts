import { randomFillSync } from 'node:crypto'
import { SealedFileError } from './sealed-file-error.ts'
import { SegmentBuffer } from './segment-buffer.ts'
import {
  type Binding,
  headerSizeBytes,
  noncePrefixSizeBytes,
  plaintextSizeOf,
  Segments,
  saltSizeBytes,
} from './segments.ts'

/** Seals one file piece by piece: the results of `push`, in order, then that of `finish` are the sealed file. */
export class Sealer {
  readonly #segments: Segments
  readonly #pending = new SegmentBuffer()
  #header: Uint8Array | null
  #index = 0
  #finished = false

  /** Throws a SealedFileError `key-size` unless the key has 32 bytes. */
  constructor(binding: Binding) {
    const salt = randomFillSync(new Uint8Array(saltSizeBytes))
    const noncePrefix = randomFillSync(new Uint8Array(noncePrefixSizeBytes))
    this.#segments = new Segments(binding, salt, noncePrefix)
    this.#header = Uint8Array.from([headerSizeBytes, ...salt, ...noncePrefix])
  }

  /** Takes the next plaintext; gives the segments that are whole now. Keeps `chunk` until it is sealed. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#checkOpen()
    this.#pending.push(chunk)
    const sealed = this.#takeHeader()
    // A full segment waits for the next byte: only the last one may say that it is the last.
    while (this.#pending.sizeBytes > plaintextSizeOf(this.#index)) {
      sealed.push(this.#sealNext(plaintextSizeOf(this.#index), false))
      this.#index++
    }
    return sealed
  }

  /** Ends the file; gives the rest of it. */
  finish(): Uint8Array[] {
    this.#checkOpen()
    this.#finished = true
    return [...this.#takeHeader(), this.#sealNext(this.#pending.sizeBytes, true)]
  }

  /** `chunk`s are their owners' to wipe; our copy is ours. */
  #sealNext(sizeBytes: number, last: boolean): Uint8Array {
    const plaintext = this.#pending.take(sizeBytes)
    const sealed = this.#segments.seal(plaintext, this.#index, last)
    plaintext.fill(0)
    return sealed
  }

  #takeHeader(): Uint8Array[] {
    const header = this.#header
    this.#header = null
    return header === null ? [] : [header]
  }

  #checkOpen(): void {
    if (this.#finished) throw new SealedFileError('finished', 'this sealed file is finished')
  }
}

/** Seals a whole file. */
export function seal(binding: Binding, plaintext: Uint8Array): Uint8Array {
  const sealer = new Sealer(binding)
  return Uint8Array.from(Buffer.concat([...sealer.push(plaintext), ...sealer.finish()]))
}

/** Seals a stream, a segment at a time. */
export async function* sealStream(
  binding: Binding,
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const sealer = new Sealer(binding)
  for await (const chunk of source) yield* sealer.push(chunk)
  yield* sealer.finish()
}
