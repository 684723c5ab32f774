import type { Socket } from 'node:net'
import { BerError, headOf } from './ber-reader.ts'

/** No message that we ask for is longer: the largest are entries with thousands of groups. */
export const messageSizeMax = 4 * 1_048_576

/** So much is read from one connection at most. */
const readSizeMax = 64 * 1_048_576

/** Cuts what a directory sends into messages. A pair of callbacks: `error` comes once, and nothing after it. */
export class MessageReader {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #size = 0
  #readSize = 0
  /** As much has to be there before it is worth looking again. */
  #needed = 2

  constructor(socket: Socket, onMessage: (message: Buffer) => void, onError: (error: Error) => void) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      try {
        this.#take(chunk, onMessage)
      } catch (error) {
        socket.destroy()
        onError(error instanceof Error ? error : new Error('no error was thrown'))
      }
    })
  }

  #take(chunk: Buffer, onMessage: (message: Buffer) => void): void {
    this.#readSize += chunk.length
    if (this.#readSize > readSizeMax) throw new BerError('there is more than we read')
    this.#chunks.push(chunk)
    this.#size += chunk.length
    if (this.#size < this.#needed) return
    let rest = Buffer.concat(this.#chunks)
    for (;;) {
      const head = headOf(rest)
      const size = head === null ? rest.length + 1 : head.headSize + head.contentSize
      if (size > messageSizeMax) throw new BerError('a message is longer than we read')
      if (rest.length < size) {
        this.#needed = size
        break
      }
      onMessage(rest.subarray(0, size))
      if (this.#socket.destroyed) return
      rest = rest.subarray(size)
    }
    this.#chunks = rest.length === 0 ? [] : [rest]
    this.#size = rest.length
  }
}
