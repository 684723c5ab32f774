import { once } from 'node:events'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { decodeResponse, encodeRequest, type RequestMessage, type ResponseMessage, Tag } from '@cryptvisor/kmip'
import type { Identity } from '@cryptvisor/pki'
import { FrameReader } from '@cryptvisor/ttlv'
import type { TlsServer } from './tls-server.ts'

/** A bare client: what a test wants on the wire, byte for byte, and nothing else. */
export class TlsClient {
  readonly socket: TLSSocket
  readonly #frames = new FrameReader({ tag: Tag.ResponseMessage, messageSizeMax: 2 ** 24 })
  readonly #answers: Uint8Array[] = []
  #wake: () => void = () => undefined

  private constructor(socket: TLSSocket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#answers.push(...this.#frames.push(chunk))
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => this.#wake())
  }

  /** Connects and waits until the handshake is done. */
  static async connect(to: TlsServer, identity: Identity | null, options: ConnectionOptions = {}): Promise<TlsClient> {
    const key = identity?.privateKey.expose((bytes) => Buffer.from(bytes))
    const socket = connect({
      ...to.server.address,
      ca: to.ca,
      ...(identity === null ? {} : { cert: identity.certificate, key }),
      ...options,
    })
    await once(socket, 'secureConnect')
    return new TlsClient(socket)
  }

  /** Sends bytes as they are. */
  write(bytes: Uint8Array): void {
    this.socket.write(bytes)
  }

  /** The next answer; `null` when the server closes first. */
  async nextAnswer(): Promise<Uint8Array | null> {
    while (this.#answers.length === 0 && !this.socket.closed) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#wake = resolve
      await promise
    }
    return this.#answers.shift() ?? null
  }

  /** Sends a message and gives its answer. */
  async send(message: RequestMessage): Promise<ResponseMessage> {
    this.write(encodeRequest(message))
    const answer = await this.nextAnswer()
    if (answer === null) throw new Error('the server closed the connection')
    return decodeResponse(answer)
  }

  /** Whether the server has closed, after waiting for it. */
  async closed(): Promise<void> {
    if (!this.socket.destroyed) await once(this.socket, 'close')
  }

  close(): void {
    this.socket.destroy()
  }
}
