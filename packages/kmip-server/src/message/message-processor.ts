import {
  decodeRequest,
  formatVersion,
  KmipError,
  type RequestMessage,
  type ResponseHeader,
  requestVersion,
} from '@cryptvisor/kmip'
import { compareVersions, type Version, wipe } from '@cryptvisor/ttlv'
import type { Client } from '../client.ts'
import type { ObjectStore } from '../object/object-store.ts'
import type { MessageContext, ServerSettings } from '../operation/operation-context.ts'
import type { EventSink } from '../server-event.ts'
import { defaultServerLimits, type ServerLimits } from '../server-limits.ts'
import { AnswerWriter } from './answer-writer.ts'
import { Batch } from './batch.ts'
import { recordOf } from './message-record.ts'

/** An answer, in a buffer that the caller wipes when it was sent. */
export interface Answer {
  readonly bytes: Uint8Array
  /** The request could not be read, so nothing that follows on the connection can be trusted: close it. */
  readonly isLast: boolean
}

/** Turns the bytes of a request into those of its answer. Knows nothing of connections. */
export class MessageProcessor {
  readonly #store: ObjectStore
  readonly #settings: ServerSettings
  readonly #limits: ServerLimits
  readonly #emit: EventSink

  constructor(store: ObjectStore, settings: ServerSettings, emit: EventSink, limits: Partial<ServerLimits> = {}) {
    this.#store = store
    this.#settings = settings
    this.#emit = emit
    this.#limits = { ...defaultServerLimits, ...limits }
  }

  /** Answers a message of a client that is known. Never rejects for what is in the message. */
  async answer(bytes: Uint8Array, client: Client): Promise<Answer> {
    const version = requestVersion(bytes)
    // The message may be a good one: the client can go on in a version that is spoken.
    if (version !== null && !this.#isSpoken(version)) {
      return { bytes: await this.refuse(this.#versionNotSpoken(version), client, version), isLast: false }
    }
    let request: RequestMessage
    try {
      request = decodeRequest(bytes, { messageSizeMax: this.#limits.messageSizeMax })
    } catch (error) {
      if (!(error instanceof KmipError)) throw error
      return { bytes: await this.refuse(error, client, version), isLast: true }
    }
    try {
      return { bytes: await this.#answerRequest(request, client), isLast: false }
    } catch (error) {
      if (!(error instanceof KmipError)) throw error
      return { bytes: await this.refuse(error, client, version), isLast: false }
    } finally {
      wipe(request)
    }
  }

  /**
   * The answer to a message of which no operation was carried out: one failure without Operation (KMIP 1.4, 6.9), in the
   * version of the request, or in our own where there is none that we speak.
   */
  async refuse(error: KmipError, client: Client, version: Version | null): Promise<Uint8Array> {
    const protocolVersion = version !== null && this.#isSpoken(version) ? version : this.#newest()
    const message = this.#contextOf(client, protocolVersion)
    const writer = new AnswerWriter(this.#headerOf(message), Number.POSITIVE_INFINITY)
    writer.addFailure({ resultStatus: 'OperationFailed', resultReason: error.code, resultMessage: error.message })
    this.#emit({ kind: 'message-refused', client: client.name, error })
    const record = recordOf(message, null, null, 'OperationFailed', error.code)
    try {
      await this.#store.transaction((transaction) => transaction.append(record))
    } catch (cause) {
      this.#emit({ kind: 'internal-error', client: client.name, doing: 'audit of a refused message', error: cause })
    }
    return writer.finish()
  }

  async #answerRequest(request: RequestMessage, client: Client): Promise<Uint8Array> {
    const header = request.requestHeader
    this.#checkHeader(request)
    const message = this.#contextOf(client, header.protocolVersion)
    const writer = new AnswerWriter(
      this.#headerOf(message),
      Math.min(header.maximumResponseSize ?? Number.POSITIVE_INFINITY, this.#limits.responseSizeMax),
    )
    try {
      const batch = new Batch(this.#store, message, writer, this.#emit)
      await batch.run(request.batchItem, header.batchErrorContinuationOption ?? 'Stop')
      return writer.finish()
    } finally {
      writer.wipe(0)
    }
  }

  /** What holds for the whole message. Asynchronous Indicator only allows us to answer later, which we never do. */
  #checkHeader(request: RequestMessage): void {
    if ((request.requestHeader.authentication?.credential.length ?? 0) > 0) {
      throw new KmipError(
        'AuthenticationNotSuccessful',
        'Authentication: clients are known by their certificates only; leave user name and password empty',
      )
    }
    const isNumbered = request.batchItem.every((item) => item.uniqueBatchItemId !== undefined)
    if (request.batchItem.length > 1 && !isNumbered) {
      throw new KmipError('InvalidMessage', 'Unique Batch Item ID: is missing, and there are several batch items')
    }
  }

  #versionNotSpoken(version: Version): KmipError {
    const spoken = this.#settings.versions.map(formatVersion).join(', ')
    return new KmipError(
      'InvalidMessage',
      `Protocol Version: ${formatVersion(version)} is not spoken here, but ${spoken}`,
    )
  }

  #isSpoken(version: Version): boolean {
    return this.#settings.versions.some((own) => compareVersions(own, version) === 0)
  }

  #newest(): Version {
    const [newest] = this.#settings.versions.toSorted((one, other) => compareVersions(other, one))
    if (newest === undefined) throw new RangeError('a server speaks at least one version')
    return newest
  }

  #contextOf(client: Client, version: Version): MessageContext {
    const now = new Date(Math.floor(this.#settings.now().getTime() / 1000) * 1000)
    return { client, version, settings: this.#settings, now, placeholder: null }
  }

  #headerOf(message: MessageContext): Omit<ResponseHeader, 'batchCount'> {
    return { protocolVersion: message.version, timeStamp: message.now, attestationType: [] }
  }
}
