import { X509Certificate } from 'node:crypto'
import { type Readable, Transform } from 'node:stream'
import { checkServerIdentity, type PeerCertificate } from 'node:tls'
import type { Secret } from '@cryptvisor/secret'
import { Agent, errors, request } from 'undici'

/** The largest JSON answer that a client reads. */
export const jsonAnswerSizeMax = 33_554_432

/** How many calls that are soon over are under way at once; others wait for them. */
const shortCallsMax = 16

/** The same for calls that take as long as their bytes do; so many that none waits unless something is amiss. */
const longCallsMax = 256

export interface ClientOptions {
  /** Such as `https://127.0.0.1:8443`; no path. */
  readonly url: string
  /** PEM of the certificates that the server's must stand under. */
  readonly ca: string
  /** Our own identity, for mutual TLS. `privateKey` holds PEM. */
  readonly identity?: { readonly certificate: string; readonly privateKey: Secret }
  /** The host name that the server's certificate must show, where it is not the URL's. */
  readonly serverName?: string
  /** Checks the server's certificate further, after TLS accepted it; gives the reason when it is refused. */
  readonly checkServer?: (certificate: X509Certificate) => string | undefined
  readonly bearerToken?: string
  /** For the head of an answer, in milliseconds. */
  readonly timeoutMs?: number
}

export interface Call {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH'
  /** Path only, already encoded: use `pathOf`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  readonly json?: unknown
  /** Sent as `application/octet-stream`; `contentBytes` is required with a stream. */
  readonly content?: Secret | Readable
  readonly contentBytes?: number
  /** 0: it waits for as long as the connection lives. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal
}

/** An answer that is bytes. */
export interface StreamedAnswer {
  readonly stream: Readable
  readonly sizeBytes: number
}

export type RestClientErrorCode = 'unreachable' | 'timeout' | 'not-trusted' | 'protocol' | 'answered' | 'aborted'

/**
 * A call that failed. `answered` means that the service said no: then `status`, `answerCode` and `field` are what it
 * said, and `message` its text. All other codes mean that no whole answer came.
 */
export class RestClientError extends Error {
  readonly code: RestClientErrorCode
  readonly status: number | undefined
  readonly answerCode: string | undefined
  readonly field: string | undefined

  constructor(
    code: RestClientErrorCode,
    message: string,
    options: { status?: number; answerCode?: string; field?: string; cause?: unknown } = {},
  ) {
    super(message, { cause: options.cause })
    this.name = 'RestClientError'
    this.code = code
    this.status = options.status
    this.answerCode = options.answerCode
    this.field = options.field
  }
}

/** Joins path segments, each percent-encoded: `pathOf('v1', 'keys', id)` is `/v1/keys/…`. */
export function pathOf(...segments: readonly (string | number)[]): string {
  return segments.map((segment) => `/${encodeURIComponent(segment)}`).join('')
}

/** Calls one service over TLS 1.3 and keeps its connections. Dispose of it to close them. */
export class RestClient implements AsyncDisposable {
  readonly #options: ClientOptions
  readonly #agent: Agent
  /** Of bodies that are streams, which may take hours: other calls must not wait for them. */
  readonly #bulkAgent: Agent
  /** The copy of our private key that connections are made with; wiped with them. */
  readonly #privateKey: Buffer | undefined

  constructor(options: ClientOptions) {
    this.#options = options
    const { checkServer, identity } = options
    this.#privateKey = identity?.privateKey.expose((bytes) => Buffer.from(bytes))
    const connect = {
      ca: options.ca,
      minVersion: 'TLSv1.3',
      timeout: options.timeoutMs ?? 10_000,
      ...(options.serverName === undefined ? {} : { servername: options.serverName }),
      ...(identity === undefined ? {} : { cert: identity.certificate, key: this.#privateKey }),
      ...(checkServer === undefined
        ? {}
        : {
            checkServerIdentity: (host: string, peer: PeerCertificate) => {
              const reason = checkServer(new X509Certificate(peer.raw))
              return reason === undefined ? checkServerIdentity(host, peer) : new Error(reason)
            },
          }),
    }
    this.#agent = new Agent({ connect, connections: shortCallsMax, pipelining: 1 })
    this.#bulkAgent = new Agent({ connect, connections: longCallsMax, pipelining: 1 })
  }

  get url(): string {
    return this.#options.url
  }

  /** Makes one call and gives the JSON of its answer (`null` for 204). Throws `RestClientError`. */
  async call<Answer>(call: Call): Promise<Answer> {
    const answer = await this.#send(call)
    const text = await readText(answer.body, jsonAnswerSizeMax)
    const value = text === '' ? null : parseJson(text)
    if (answer.statusCode >= 200 && answer.statusCode < 300) {
      // The service serializes by the schema that `Answer` comes from.
      return value as Answer
    }
    throw refusal(answer.statusCode, value)
  }

  /** Makes one call whose answer is a stream of lines (SSE or NDJSON); yields each without its end. */
  async *lines(call: Call): AsyncGenerator<string, void, undefined> {
    const answer = await this.#send({ ...call, timeoutMs: call.timeoutMs ?? 30_000 }, true)
    if (answer.statusCode !== 200) {
      throw refusal(answer.statusCode, parseJson(await readText(answer.body, jsonAnswerSizeMax)))
    }
    let rest = ''
    try {
      for await (const chunk of answer.body.setEncoding('utf8')) {
        rest += String(chunk)
        if (rest.length > jsonAnswerSizeMax) throw new RestClientError('protocol', 'a line of the answer is too long')
        const lines = rest.split('\n')
        rest = lines.pop() ?? ''
        yield* lines
      }
    } catch (error) {
      throw wrap(error, this.#options.url)
    } finally {
      answer.body.destroy()
    }
  }

  /**
   * Makes one call whose answer is bytes (`application/octet-stream` with a `content-length`), and gives them as they come.
   * The stream fails with a `RestClientError` when the answer breaks off; destroy it to give the rest up.
   */
  async stream(call: Call): Promise<StreamedAnswer> {
    const { statusCode, headers, body } = await this.#send(call, true)
    if (statusCode !== 200) throw refusal(statusCode, parseJson(await readText(body, jsonAnswerSizeMax)))
    const sizeBytes = Number(headers['content-length'] ?? Number.NaN)
    if (!Number.isSafeInteger(sizeBytes) || headers['content-type'] !== 'application/octet-stream') {
      body.on('error', () => undefined).destroy()
      throw new RestClientError('protocol', 'the answer is not bytes of a length that is known')
    }
    return { stream: wholeBody(body, sizeBytes, this.#options.url), sizeBytes }
  }

  /**
   * Calls, and gives bytes as they are made, of a number that nobody knows yet; the stream fails when the answer breaks off
   * (RFC 9112, section 8: the last chunk is missing).
   */
  async flow(call: Call): Promise<Readable> {
    const { statusCode, headers, body } = await this.#send(call, true)
    if (statusCode !== 200) throw refusal(statusCode, parseJson(await readText(body, jsonAnswerSizeMax)))
    if (headers['content-type'] !== 'application/octet-stream' || headers['transfer-encoding'] !== 'chunked') {
      body.on('error', () => undefined).destroy()
      throw new RestClientError('protocol', 'the answer is not bytes in chunks')
    }
    return wholeBody(body, null, this.#options.url)
  }

  /** Closes the connections at once; calls that are under way fail. Wipes its copy of our private key. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await Promise.all([this.#agent.destroy(), this.#bulkAgent.destroy()])
    } finally {
      this.#privateKey?.fill(0)
    }
  }

  async #send(call: Call, endless = false) {
    const { url, bearerToken, timeoutMs } = this.#options
    const secret = call.content !== undefined && 'expose' in call.content ? call.content : undefined
    const copy = secret?.expose((bytes) => Buffer.from(bytes))
    const contentBytes = copy?.length ?? call.contentBytes
    const limitMs = call.timeoutMs ?? timeoutMs ?? 30_000
    try {
      return await request(`${url}${call.path}`, {
        dispatcher: endless || (call.content !== undefined && secret === undefined) ? this.#bulkAgent : this.#agent,
        method: call.method,
        query: Object.fromEntries(Object.entries(call.query ?? {}).filter(([, value]) => value !== undefined)),
        headers: {
          ...call.headers,
          accept: 'application/json',
          ...(bearerToken === undefined ? {} : { authorization: `Bearer ${bearerToken}` }),
          ...(call.json === undefined ? {} : { 'content-type': 'application/json' }),
          ...(call.content === undefined ? {} : { 'content-type': 'application/octet-stream' }),
          ...(contentBytes === undefined ? {} : { 'content-length': String(contentBytes) }),
        },
        body: call.json !== undefined ? JSON.stringify(call.json) : (copy ?? streamOf(call.content)),
        headersTimeout: limitMs,
        bodyTimeout: endless ? 60_000 : limitMs,
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      })
    } catch (error) {
      throw wrap(error, url)
    } finally {
      copy?.fill(0)
    }
  }
}

/**
 * The bytes of an answer: `sizeBytes` of them, as was announced; `null`: the transfer itself tells its end. Whoever destroys it
 * lets go of the answer.
 */
function wholeBody(body: Readable, sizeBytes: number | null, url: string): Readable {
  let readBytes = 0
  const counted = new Transform({
    transform: (chunk: Uint8Array, _encoding, done) => {
      readBytes += chunk.length
      done(null, chunk)
    },
    flush: (done) => {
      const text = `the answer broke off after ${readBytes} of ${sizeBytes} bytes`
      done(sizeBytes === null || readBytes === sizeBytes ? null : new RestClientError('protocol', text))
    },
  })
  body.on('error', (error) => counted.destroy(wrap(error, url)))
  // It may break off before anybody reads: whoever does then is told.
  counted.on('error', () => undefined)
  counted.once('close', () => body.destroy())
  return body.pipe(counted)
}

function streamOf(content: Call['content']): Readable | null {
  return content === undefined || 'expose' in content ? null : content
}

async function readText(body: AsyncIterable<Uint8Array>, sizeMax: number): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of body) {
      size += chunk.length
      if (size > sizeMax) throw new RestClientError('protocol', `the answer has more than ${sizeMax} bytes`)
      chunks.push(chunk)
    }
  } catch (error) {
    throw error instanceof RestClientError ? error : wrap(error, 'the service')
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new RestClientError('protocol', 'the answer is not JSON', { cause })
  }
}

function refusal(status: number, value: unknown): RestClientError {
  const { error } = (value ?? {}) as { error?: { code?: unknown; message?: unknown; field?: unknown } }
  const message = typeof error?.message === 'string' ? error.message : `the service answered with status ${status}`
  return new RestClientError('answered', message, {
    status,
    ...(typeof error?.code === 'string' ? { answerCode: error.code } : {}),
    ...(typeof error?.field === 'string' ? { field: error.field } : {}),
  })
}

/** Node's and undici's errors, sorted by what a caller can do about them. */
function wrap(cause: unknown, peer: string): RestClientError {
  const { code, name, message } = cause as { code?: string; name?: string; message?: string }
  if (cause instanceof RestClientError) return cause
  if (name === 'AbortError') return new RestClientError('aborted', 'the call was given up', { cause })
  if (cause instanceof errors.HeadersTimeoutError || cause instanceof errors.BodyTimeoutError) {
    return new RestClientError('timeout', `${peer} did not answer in time`, { cause })
  }
  if (cause instanceof errors.ConnectTimeoutError || code === 'ETIMEDOUT') {
    return new RestClientError('unreachable', `${peer} cannot be reached: no connection in time`, { cause })
  }
  if (isTrustFailure(code, message)) {
    return new RestClientError('not-trusted', `${peer} is not trusted, or does not trust us: ${code ?? message}`, {
      cause,
    })
  }
  return new RestClientError('unreachable', `${peer} cannot be reached: ${code ?? message ?? 'the connection broke'}`, {
    cause,
  })
}

function isTrustFailure(code: string | undefined, message: string | undefined): boolean {
  return (
    /^(ERR_SSL_|ERR_TLS_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|EPROTO|INVALID_CA)/.test(code ?? '') ||
    /certificate/i.test(message ?? '')
  )
}
