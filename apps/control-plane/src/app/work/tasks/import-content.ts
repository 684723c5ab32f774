import { type Readable, Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { RestClientError } from '@cryptvisor/rest'
import type { Secret } from '@cryptvisor/secret'
import { ControlPlaneError } from '../../control-plane-error.ts'
import type { HostConnection } from '../../ports.ts'
import type { WorkContext } from '../context.ts'

/** Another request brings the content already; this one changes nothing. */
export class ContentTakenError extends ControlPlaneError {
  constructor() {
    super('invalid', 'the content comes already, by another request: wait for its task')
  }
}

/** Where an import's content goes. */
interface Destination {
  readonly connection: HostConnection
  readonly operationId: string
}

/**
 * Joins an import's two ends: the task, whose host waits for the image's bytes, and the request that brings them. They
 * go through chunk by chunk, as fast as the slower side takes them.
 */
export class ImportContent {
  readonly #work: WorkContext
  readonly #opened = Promise.withResolvers<Destination>()
  readonly #closing = new AbortController()
  #open = false
  #taken = false
  #delivered = false
  #heardAt = 0
  #brokenOff: string | null = null

  constructor(work: WorkContext) {
    this.#work = work
    // Whoever waits gets the error; that nobody waits is fine.
    this.#opened.promise.catch(() => undefined)
  }

  /** The host waits for the content now. */
  open(destination: Destination): void {
    if (this.#open) return
    this.#open = true
    this.#heardAt = this.#work.clock()
    this.#opened.resolve(destination)
  }

  /** The host takes nothing now, as it was asked to: that is no silence of the sender's. */
  held(): void {
    this.#heardAt = this.#work.clock()
  }

  /** The task has come to its end: nothing goes through any more. */
  close(): void {
    const error = new ControlPlaneError('invalid', 'the import does not wait for content any more')
    this.#closing.abort(error)
    this.#opened.reject(error)
  }

  /** Why the import cannot go on; `null` while all is well. */
  problem(): string | null {
    if (this.#brokenOff !== null) return this.#brokenOff
    const { contentWaitMs } = this.#work.timings
    if (!this.#open || this.#delivered || this.#work.clock() - this.#heardAt < contentWaitMs) return null
    const seconds = Math.round(contentWaitMs / 1000)
    return this.#taken
      ? `nothing came of the image's content for ${seconds} seconds`
      : `the image's content did not begin to come within ${seconds} seconds`
  }

  /** Hands the passphrase of the volume that comes on to the host, when that waits for it. Throws when that fails. */
  async sendPassphrase(passphrase: Secret, signal: AbortSignal): Promise<void> {
    const { connection, operationId } = await abortable(this.#opened.promise, signal)
    this.#heardAt = this.#work.clock()
    await connection.client.sendPassphrase(operationId, passphrase)
  }

  /**
   * Sends the content on to the host, once; waits until the host is ready for it, has all of it, and is done or does not
   * answer any more. Throws when that fails: the task then ends by itself.
   */
  async send(content: Readable, contentBytes: number, signal: AbortSignal): Promise<void> {
    if (this.#taken) throw new ContentTakenError()
    this.#taken = true
    try {
      const { connection, operationId } = await abortable(this.#opened.promise, signal)
      this.#heardAt = this.#work.clock()
      const counted = new Transform({
        transform: (chunk: Uint8Array, _encoding, done) => {
          this.#heardAt = this.#work.clock()
          done(null, chunk)
        },
      })
      const stop = AbortSignal.any([signal, this.#closing.signal, this.#work.stopping])
      await Promise.all([
        pipeline(content, counted, { signal: stop }).then(() => {
          this.#delivered = true
        }),
        connection.client.sendContent(operationId, counted, contentBytes, stop),
      ])
    } catch (error) {
      // The host has all of it, and takes longer with that than a call may: it is asked how far it is.
      if (this.#delivered && error instanceof RestClientError && error.code === 'timeout') return
      this.#brokenOff ??= `the image's content broke off: ${error instanceof Error ? error.message : 'unknown error'}`
      throw error
    }
  }
}

/** The promise's value, unless `signal` fires first: then it throws its reason. */
async function abortable<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    return await Promise.race([promise, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
