import type { TLSSocket } from 'node:tls'
import { KmipError, Tag } from '@cryptvisor/kmip'
import { FrameReader, TtlvError } from '@cryptvisor/ttlv'
import type { Client } from '../client.ts'
import type { MessageProcessor } from '../message/message-processor.ts'
import type { ServerLimits } from '../server-limits.ts'

/** How long a peer may take to close its side after our last answer. */
const lingerTimeoutMs = 2000

/** One client's connection: its messages are answered one after another, in their order. */
export class Connection {
  readonly client: Client
  readonly #socket: TLSSocket
  readonly #processor: MessageProcessor
  readonly #limits: ServerLimits
  readonly #frames: FrameReader
  #messageTimer: NodeJS.Timeout | undefined
  #isAnswering = false
  #isClosing = false

  constructor(socket: TLSSocket, client: Client, processor: MessageProcessor, limits: ServerLimits) {
    this.#socket = socket
    this.client = client
    this.#processor = processor
    this.#limits = limits
    this.#frames = new FrameReader({ tag: Tag.RequestMessage, messageSizeMax: limits.messageSizeMax })
  }

  /** Serves until one side closes. Resolves with the reason; rejects when the connection breaks or we fail. */
  async serve(): Promise<string> {
    this.#socket.setNoDelay(true)
    this.#socket.setTimeout(this.#limits.idleTimeoutMs, () => this.#socket.destroy(new Error('idle for too long')))
    try {
      // Leaving the loop must not tear the connection down before the last answer is through.
      for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
        const isLast = await this.#take(chunk as Uint8Array)
        if (isLast || this.#isClosing) return isLast ? 'a message could not be read' : 'the server closes'
        this.#watchMessage()
      }
      return this.#frames.isInMessage ? 'the peer closed within a message' : 'the peer closed'
    } finally {
      clearTimeout(this.#messageTimer)
      this.#frames.wipe()
      this.#finish()
    }
  }

  /** Closes after the answer that is being made; at once when there is none. */
  close(): void {
    this.#isClosing = true
    if (!this.#isAnswering) this.#finish()
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy()
  }

  /** Answers the messages that became whole. True when the last answer of the connection was given. */
  async #take(chunk: Uint8Array): Promise<boolean> {
    this.#isAnswering = true
    try {
      for (const message of this.#frames.push(chunk)) {
        clearTimeout(this.#messageTimer)
        this.#messageTimer = undefined
        const { bytes, isLast } = await this.#answer(message)
        await this.#send(bytes)
        if (isLast) return true
      }
      return false
    } catch (error) {
      if (!(error instanceof TtlvError)) throw error
      await this.#send(await this.#processor.refuse(KmipError.from(error), this.client, null))
      return true
    } finally {
      this.#isAnswering = false
    }
  }

  async #answer(message: Uint8Array) {
    try {
      return await this.#processor.answer(message, this.client)
    } finally {
      message.fill(0)
    }
  }

  /** Resolves when the bytes went to the system; they are wiped. */
  async #send(bytes: Uint8Array): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#socket.write(bytes, (error) => {
        bytes.fill(0)
        if (error == null) resolve()
        else reject(error)
      })
    })
  }

  /** A message that has begun must end in time, however many pieces it comes in. */
  #watchMessage(): void {
    if (!this.#frames.isInMessage || this.#messageTimer !== undefined) return
    this.#messageTimer = setTimeout(
      () => this.#socket.destroy(new Error('a message took too long to come')),
      this.#limits.messageTimeoutMs,
    )
  }

  /** Says that nothing more comes, and lets the peer read what is there; unread bytes would make it a reset. */
  #finish(): void {
    if (this.#socket.destroyed) return
    this.#socket.end()
    this.#socket.resume()
    const timer = setTimeout(() => this.#socket.destroy(), lingerTimeoutMs)
    this.#socket.once('close', () => clearTimeout(timer))
    this.#socket.once('end', () => this.#socket.destroySoon())
  }
}
