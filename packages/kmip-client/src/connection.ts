import { connect, type TLSSocket } from 'node:tls'
import { Tag } from '@cryptvisor/kmip'
import { FrameReader, TtlvError } from '@cryptvisor/ttlv'
import { brokenError, connectionError, handshakeError, nameOfHost, placeOf } from './connection-error.ts'
import { KmipClientError } from './kmip-client-error.ts'
import type { ClientLimits, ServerOptions } from './server-options.ts'
import type { Trust } from './trust.ts'

interface Waiting {
  resolve(message: Uint8Array): void
  reject(error: KmipClientError): void
}

/** One TLS connection to a KMIP server, for one request at a time. */
export class Connection {
  readonly #socket: TLSSocket
  readonly #place: string
  readonly #reader: FrameReader
  #waiting: Waiting | null = null
  #failure: KmipClientError | null = null
  #requestCount = 0
  /** What the server showed, PEM. */
  readonly peerCertificate: string

  private constructor(socket: TLSSocket, place: string, peerCertificate: string, limits: ClientLimits) {
    this.#socket = socket
    this.#place = place
    this.peerCertificate = peerCertificate
    this.#reader = new FrameReader({ tag: Tag.ResponseMessage, messageSizeMax: limits.responseSizeMax })
    socket.on('data', (chunk) => this.#receive(chunk))
    socket.on('error', (error) => this.#fail(brokenError(error, place)))
    socket.on('close', () => this.#fail(new KmipClientError('closed', `${place} closed the connection`)))
    socket.setTimeout(limits.idleTimeoutMs, () => {
      if (this.#waiting === null) this.close()
    })
  }

  /** Connects, shakes hands and checks the server. Throws a KmipClientError. */
  static open(server: Pick<ServerOptions, 'host' | 'port'>, trust: Trust, limits: ClientLimits): Promise<Connection> {
    const { host, port } = server
    const place = placeOf(host, port)
    return new Promise((resolve, reject) => {
      const socket = connect({ ...trust.tls, host, port, ...nameOfHost(host) })
      let isConnected = false
      const fail = (error: KmipClientError) => {
        clearTimeout(timer)
        socket.destroy()
        reject(error)
      }
      const onError = (cause: Error) => {
        fail(isConnected ? handshakeError(cause, place) : connectionError(cause, place))
      }
      const onClose = () => fail(handshakeError(new Error('the connection was closed'), place))
      const timer = setTimeout(
        () =>
          fail(
            new KmipClientError(
              'timeout',
              `${place} did not connect in ${limits.connectTimeoutMs} ms: see whether it is up, and whether a firewall drops what goes there`,
            ),
          ),
        limits.connectTimeoutMs,
      )
      socket.once('connect', () => {
        isConnected = true
      })
      socket.once('error', onError)
      // Only the first is told; another must not end the process.
      socket.on('error', () => undefined)
      socket.once('close', onClose)
      socket.once('secureConnect', () => {
        clearTimeout(timer)
        let peerCertificate: string
        try {
          peerCertificate = trust.check(socket, place).toString()
        } catch (error) {
          socket.destroy()
          reject(error)
          return
        }
        socket.off('error', onError)
        socket.off('close', onClose)
        socket.disableRenegotiation()
        socket.setNoDelay(true)
        resolve(new Connection(socket, place, peerCertificate, limits))
      })
    })
  }

  /** Whether it can still be used. */
  get isOpen(): boolean {
    return this.#failure === null && !this.#socket.destroyed && this.#socket.writable && !this.#socket.readableEnded
  }

  /** Whether a request was answered on it already. */
  get wasUsed(): boolean {
    return this.#requestCount > 0
  }

  /**
   * Sends a request, wipes it, and waits for the answer, which the caller wipes. After a failure the connection is of no
   * use. Throws a KmipClientError.
   */
  async exchange(request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    try {
      if (this.#failure !== null) throw this.#failure
      if (this.#waiting !== null) throw new Error('one request at a time')
      const answer = await this.#send(request, timeoutMs)
      this.#requestCount++
      return answer
    } finally {
      request.fill(0)
    }
  }

  /** Ends the connection; a request that waits fails with `closed`. */
  close(): void {
    this.#fail(new KmipClientError('closed', `the connection to ${this.#place} was closed by us`))
  }

  #send(request: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>()
    this.#waiting = { resolve, reject }
    const timer = setTimeout(
      () => this.#fail(new KmipClientError('timeout', `${this.#place} did not answer in ${timeoutMs} ms`)),
      timeoutMs,
    )
    this.#socket.write(request, () => request.fill(0))
    return promise.finally(() => clearTimeout(timer))
  }

  #receive(chunk: Uint8Array): void {
    try {
      for (const message of this.#reader.push(chunk)) {
        if (this.#waiting === null) {
          message.fill(0)
          throw new KmipClientError('protocol', `${this.#place} sent a message that nobody asked for`)
        }
        const { resolve } = this.#waiting
        this.#waiting = null
        resolve(message)
      }
    } catch (error) {
      this.#fail(
        error instanceof TtlvError
          ? new KmipClientError('protocol', `${this.#place} sent no KMIP answer: ${error.message}`, { cause: error })
          : error,
      )
    }
  }

  #fail(error: unknown): void {
    this.#reader.wipe()
    this.#socket.destroy()
    // Other errors than our own come from nowhere here; they are passed on as they are.
    this.#failure ??= error as KmipClientError
    this.#waiting?.reject(this.#failure)
    this.#waiting = null
  }
}
