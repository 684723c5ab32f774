import {
  type DeclaredOperation,
  decodeResponse,
  dumpRequest,
  dumpResponse,
  encodeRequest,
  KmipError,
  type RequestMessage,
  type ResponseMessage,
  type ResponseOf,
} from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'
import { TtlvError, type Version } from '@cryptvisor/ttlv'
import { type BatchOptions, type BatchRequest, type BatchResult, matchResponse, requestMessage } from './batch.ts'
import { Connection } from './connection.ts'
import { KmipClientError } from './kmip-client-error.ts'
import { negotiate } from './negotiation.ts'
import { type ClientLimits, defaultClientLimits, type ServerOptions } from './server-options.ts'
import { createTrust, type Trust } from './trust.ts'

export interface KmipClientOptions extends ServerOptions {
  /** Sent with each request, for servers that want more than our certificate. The secret stays the caller's. */
  readonly credential?: { readonly username: string; readonly password: Secret }
  readonly limits?: Partial<ClientLimits>
  /** Gets each message as text without its secrets, for a debug log. */
  readonly trace?: (text: string) => void
}

/** Operations that can be asked for twice and do nothing more than once. */
const repeatable: ReadonlySet<DeclaredOperation> = new Set([
  'Check',
  'DiscoverVersions',
  'Get',
  'GetAttributeList',
  'GetAttributes',
  'Locate',
  'Query',
])

/** Batches of operations to one server: in turn, over one connection, in the version that both sides have. */
export class Session implements AsyncDisposable {
  readonly #options: KmipClientOptions
  readonly #limits: ClientLimits
  readonly #trust: Trust
  #connection: Connection | null = null
  #version: Version | null = null
  #turn: Promise<unknown> = Promise.resolve()
  #waitingCount = 0
  #isClosed = false

  /** Connects to nobody yet. Throws a KmipClientError `invalid-options` when certificates or key cannot be read. */
  constructor(options: KmipClientOptions) {
    this.#options = options
    this.#limits = { ...defaultClientLimits, ...options.limits }
    this.#trust = createTrust(options)
  }

  /** The version that was agreed on; `null` before the first request. */
  get version(): Version | null {
    return this.#version
  }

  /** The certificate that the server showed last, PEM; `null` before the first connection. */
  get serverCertificate(): string | null {
    return this.#connection?.peerCertificate ?? null
  }

  /** Agrees on a version with the server, where that was not done yet, and says which. */
  negotiate(): Promise<Version> {
    return this.#inTurn(() => this.#negotiated())
  }

  /** Sends a batch and gives a result of its operation for each item, in their order. */
  request(items: readonly BatchRequest[], options: BatchOptions): Promise<BatchResult<DeclaredOperation>[]> {
    return this.#inTurn(async () => this.#exchange(await this.#negotiated(), items, options))
  }

  /** Ends the connection; requests that wait fail with `closed`. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    this.#connection?.close()
    await this.#turn
  }

  /** Runs `use` when all before it are done. */
  async #inTurn<Result>(use: () => Promise<Result>): Promise<Result> {
    if (this.#waitingCount >= this.#limits.waitingRequestsMax) {
      throw new KmipClientError('busy', `${this.#limits.waitingRequestsMax} requests wait for the KMIP server already`)
    }
    this.#waitingCount++
    const result = this.#turn.then(() => {
      if (this.#isClosed) throw new KmipClientError('closed', 'the client was closed')
      return use()
    })
    this.#turn = result.then(
      () => this.#waitingCount--,
      () => this.#waitingCount--,
    )
    return result
  }

  async #negotiated(): Promise<Version> {
    this.#version ??= await negotiate(async (version) => {
      const [result] = await this.#exchange(
        version,
        [{ operation: 'DiscoverVersions', payload: { protocolVersion: [] } }],
        {},
      )
      if (result instanceof KmipClientError || result === undefined) throw result
      // The result is that of the operation, since `matchResponse` is strict about it.
      return (result as ResponseOf<'DiscoverVersions'>).protocolVersion
    })
    return this.#version
  }

  async #exchange(
    version: Version,
    items: readonly BatchRequest[],
    options: BatchOptions,
  ): Promise<BatchResult<DeclaredOperation>[]> {
    const { credential } = this.#options
    const authentication =
      credential === undefined
        ? null
        : { credential: [{ credentialType: 'UsernameAndPassword', credentialValue: credential } as const] }
    const message = requestMessage(version, items, options, authentication)
    const isRepeatable = items.every((item) => repeatable.has(item.operation))
    const answer = await this.#transfer(() => this.#encode(message), isRepeatable)
    this.#options.trace?.(dumpResponse(answer))
    try {
      return matchResponse(version, items, answer)
    } catch (error) {
      // It may be the version that the server does not want, when it was exchanged for another.
      if (error instanceof KmipClientError && error.refusal?.isWholeMessage === true) this.#version = null
      throw error
    }
  }

  #encode(message: RequestMessage): Uint8Array {
    try {
      const bytes = encodeRequest(message)
      this.#options.trace?.(dumpRequest(message))
      return bytes
    } catch (cause) {
      if (!(cause instanceof TtlvError)) throw cause
      throw new KmipClientError('invalid-request', `the request cannot be sent: ${cause.message}`, { cause })
    }
  }

  /** Sends a message and decodes the answer. An idle connection may have been closed just now: then once more. */
  async #transfer(encode: () => Uint8Array, isRepeatable: boolean): Promise<ResponseMessage> {
    for (;;) {
      const request = encode()
      const connection = await this.#connected().catch((error: unknown) => {
        request.fill(0)
        throw error
      })
      const wasUsed = connection.wasUsed
      try {
        return await receive(connection, request, this.#limits)
      } catch (error) {
        connection.close()
        // Another server may be there now, or one that does not trust us any more: negotiation finds out.
        if (!wasUsed) this.#version = null
        const mayRepeat = wasUsed && isRepeatable && error instanceof KmipClientError && error.code === 'closed'
        if (!mayRepeat || this.#isClosed) throw error
      }
    }
  }

  async #connected(): Promise<Connection> {
    if (this.#connection?.isOpen !== true) {
      this.#connection = await Connection.open(this.#options, this.#trust, this.#limits)
      if (this.#isClosed) this.#connection.close()
    }
    return this.#connection
  }
}

async function receive(connection: Connection, request: Uint8Array, limits: ClientLimits): Promise<ResponseMessage> {
  const bytes = await connection.exchange(request, limits.requestTimeoutMs)
  try {
    return decodeResponse(bytes, { messageSizeMax: limits.responseSizeMax })
  } catch (cause) {
    if (!(cause instanceof KmipError)) throw cause
    throw new KmipClientError('protocol', `the answer of the KMIP server cannot be read: ${cause.message}`, { cause })
  } finally {
    bytes.fill(0)
  }
}
