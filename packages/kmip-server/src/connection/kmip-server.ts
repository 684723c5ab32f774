import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net'
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls'
import type { Client } from '../client.ts'
import type { MessageProcessor } from '../message/message-processor.ts'
import type { ConnectionRefusal, EventSink } from '../server-event.ts'
import { defaultServerLimits, type ServerLimits } from '../server-limits.ts'
import { Admission } from './admission.ts'
import { Connection } from './connection.ts'
import { type ServerIdentity, tlsOptions } from './tls-options.ts'

/** KMIP profiles, 3: the port that IANA gave it. */
export const kmipPort = 5696

export interface KmipServerOptions {
  readonly host: string
  /** 0 for any that is free. */
  readonly port: number
  readonly identity: ServerIdentity
  /** Finds the client of a certificate (DER) that stands under the CA; `null` refuses it. */
  readonly identify: (certificate: Uint8Array, address: string) => Promise<Client | null>
  readonly processor: MessageProcessor
  readonly emit: EventSink
  readonly limits?: Partial<ServerLimits>
}

/** A connection that was counted in and has not shown a certificate yet. */
interface Handshaking {
  readonly socket: Socket
  readonly address: string
  /** Counts it out, once. */
  readonly leave: () => void
}

/** KMIP over TLS (KMIP 1.4, 10): takes connections and serves each client that it knows. */
export class KmipServer {
  readonly #options: KmipServerOptions
  readonly #limits: ServerLimits
  /** Takes connections and counts them; those that may come in are the TLS server's, which listens nowhere. */
  readonly #tcp: TcpServer
  readonly #tls: TlsServer
  readonly #admission: Admission
  readonly #connections = new Set<Connection>()
  /** Connections whose handshake is not over, by the peer's address and port, the oldest first. */
  readonly #handshaking = new Map<string, Handshaking>()
  #isClosing = false

  private constructor(options: KmipServerOptions) {
    this.#options = options
    this.#limits = { ...defaultServerLimits, ...options.limits }
    this.#admission = new Admission(this.#limits)
    this.#tls = options.identity.privateKey.expose((key) =>
      createTlsServer(tlsOptions(options.identity, key, this.#limits)),
    )
    this.#tls.on('secureConnection', (socket) => void this.#serve(socket))
    this.#tls.on('tlsClientError', (error, socket) => {
      const address = socket.remoteAddress ?? 'unknown'
      options.emit({ kind: 'handshake-failed', address, code: codeOf(error) })
      // Node leaves a connection open that said nothing in time.
      socket.destroy()
    })
    this.#tcp = createTcpServer((socket) => this.#admit(socket))
  }

  /** Listens; rejects when the port is taken. */
  static async listen(options: KmipServerOptions): Promise<KmipServer> {
    const server = new KmipServer(options)
    await new Promise<void>((resolve, reject) => {
      server.#tcp.once('error', reject)
      server.#tcp.listen({ host: options.host, port: options.port }, () => {
        server.#tcp.off('error', reject)
        // Such as too many open files: who is in stays in, and the next one may get in again.
        server.#tcp.on('error', (error) =>
          options.emit({ kind: 'internal-error', client: 'none', doing: 'taking a connection', error }),
        )
        resolve()
      })
    })
    return server
  }

  /** Where it listens. */
  get address(): { readonly host: string; readonly port: number } {
    // A server that listens on a port has such an address.
    const { address, port } = this.#tcp.address() as AddressInfo
    return { host: address, port }
  }

  /** Shows another certificate to whoever connects from now on. Whom it believes cannot change. */
  renewIdentity(identity: ServerIdentity): void {
    identity.privateKey.expose((key) => this.#tls.setSecureContext(tlsOptions(identity, key, this.#limits)))
  }

  /** Ends the connections of a certificate, for instance one that was revoked. */
  disconnect(certificateFingerprint: string): void {
    for (const connection of this.#connections) {
      if (connection.client.certificateFingerprint === certificateFingerprint) connection.destroy()
    }
  }

  /** Takes no more connections, finishes the answers that are being made, and closes. */
  async close(): Promise<void> {
    this.#isClosing = true
    const closed = new Promise<void>((resolve) => {
      this.#tcp.close(() => resolve())
    })
    for (const { socket } of this.#handshaking.values()) socket.destroy()
    for (const connection of this.#connections) connection.close()
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.destroy()
    }, this.#limits.closeTimeoutMs)
    await closed
    clearTimeout(timer)
  }

  #admit(socket: Socket): void {
    const address = socket.remoteAddress ?? 'unknown'
    let refusal = this.#admission.enter(address)
    if (refusal !== null && this.#makeRoom(refusal, address)) refusal = this.#admission.enter(address)
    if (refusal === null) {
      const peer = peerOf(socket)
      let isCounted = true
      const leave = () => {
        this.#handshaking.delete(peer)
        if (isCounted) this.#admission.leave(address)
        isCounted = false
      }
      this.#handshaking.set(peer, { socket, address, leave })
      socket.once('close', leave)
      this.#tls.emit('connection', socket)
    } else {
      this.#options.emit({ kind: 'connection-refused', address, reason: refusal })
      socket.destroy()
    }
  }

  /**
   * Gives up the oldest connection that has not shown a certificate yet, so that whoever has none cannot keep those out
   * who have. False when there is none whose place would help.
   */
  #makeRoom(reason: ConnectionRefusal, address: string): boolean {
    for (const oldest of this.#handshaking.values()) {
      if (reason === 'too-many-connections-of-address' && oldest.address !== address) continue
      oldest.leave()
      oldest.socket.destroy()
      this.#options.emit({ kind: 'connection-refused', address: oldest.address, reason })
      return true
    }
    return false
  }

  async #serve(socket: TLSSocket): Promise<void> {
    const address = socket.remoteAddress ?? 'unknown'
    this.#handshaking.delete(peerOf(socket))
    // Reading shows errors too; until then nobody else would take them.
    socket.on('error', () => undefined)
    let client: Client | null = null
    try {
      const certificate = socket.getPeerX509Certificate()
      client = certificate === undefined ? null : await this.#options.identify(certificate.raw, address)
      if (client === null || this.#isClosing) {
        if (client === null) this.#options.emit({ kind: 'connection-refused', address, reason: 'unknown-client' })
        socket.destroy()
        return
      }
      await this.#serveClient(socket, client)
    } catch (error) {
      this.#options.emit({ kind: 'internal-error', client: client?.name ?? address, doing: 'connection', error })
      socket.destroy()
    }
  }

  async #serveClient(socket: TLSSocket, client: Client): Promise<void> {
    const { address } = client
    const connection = new Connection(socket, client, this.#options.processor, this.#limits)
    this.#connections.add(connection)
    this.#options.emit({ kind: 'connection-opened', address, client: client.name })
    let why = 'an error of ours'
    try {
      why = await connection.serve()
    } catch (error) {
      if (!socket.destroyed) throw error
      why = error instanceof Error ? error.message : 'the connection broke'
    } finally {
      this.#connections.delete(connection)
      this.#options.emit({ kind: 'connection-closed', address, client: client.name, why })
    }
  }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : error.message
}
