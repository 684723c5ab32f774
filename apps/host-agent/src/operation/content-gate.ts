import { addAbortSignal, type Readable } from 'node:stream'
import { AgentError } from '../agent-error.ts'
import { Arrival } from './arrival.ts'

/** How long an import waits for the next bytes of its content: a peer that is gone without a word sends none. */
const silenceMaxMs = 300_000

/** Where an import waits for the bytes that come in another call. */
export class ContentGate {
  readonly #arrival = new Arrival<Readable>('content')
  readonly #silenceMaxMs: number

  constructor(silenceLimitMs = silenceMaxMs) {
    this.#silenceMaxMs = silenceLimitMs
  }

  /** Whether the import waits for content now. */
  get waiting(): boolean {
    return this.#arrival.waiting
  }

  /**
   * Waits for the content, which ends with `signal`. Rejects with the signal's reason, or AgentError `io` after a while; so
   * does the content when nothing comes for long.
   */
  async wait(signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
    return watched(addAbortSignal(signal, await this.#arrival.wait(signal)), this.#silenceMaxMs)
  }

  /** Gives the content to the import, which may wait for it already or not yet. Throws AgentError `not-waiting-for-content`. */
  offer(content: Readable): void {
    this.#arrival.offer(content)
  }
}

/** The same bytes; when none come for `limitMs` while they are waited for, it ends with AgentError `io`. */
async function* watched(content: Readable, limitMs: number): AsyncGenerator<Uint8Array, void, undefined> {
  const giveUp = () =>
    content.destroy(new AgentError('io', `nothing of the content came for ${limitMs / 1000} s; send it again`))
  let timer = setTimeout(giveUp, limitMs)
  try {
    for await (const chunk of content) {
      clearTimeout(timer)
      // A request's body comes in buffers.
      yield chunk as Buffer
      timer = setTimeout(giveUp, limitMs)
    }
  } finally {
    clearTimeout(timer)
  }
}
