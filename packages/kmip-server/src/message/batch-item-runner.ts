import {
  formatVersion,
  isDeclaredRequest,
  KmipError,
  operations,
  type RequestBatchItem,
  type ResponseBatchItem,
} from '@cryptvisor/kmip'
import { isInVersion, TtlvError, wipe } from '@cryptvisor/ttlv'
import type { AuditRecord } from '../audit-record.ts'
import type { ObjectTransaction } from '../object/object-store.ts'
import { handlers } from '../operation/handlers.ts'
import {
  FailureWithPayload,
  type Handler,
  type MessageContext,
  OperationContext,
} from '../operation/operation-context.ts'
import type { EventSink } from '../server-event.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { recordOf } from './message-record.ts'

/** A batch item failed: thrown out of its transaction so that nothing of it stays. */
export class ItemFailure extends Error {
  /** What is answered. */
  readonly answer: ResponseBatchItem
  readonly record: AuditRecord

  constructor(answer: ResponseBatchItem, record: AuditRecord) {
    super('a batch item failed')
    this.answer = answer
    this.record = record
  }
}

/** Carries out one batch item after another. */
export class BatchItemRunner {
  readonly #message: MessageContext
  readonly #writer: AnswerWriter
  readonly #emit: EventSink

  constructor(message: MessageContext, writer: AnswerWriter, emit: EventSink) {
    this.#message = message
    this.#writer = writer
    this.#emit = emit
  }

  /** Carries out an item within a transaction, its audit record and its answer included. Throws an ItemFailure. */
  async run(item: RequestBatchItem, transaction: ObjectTransaction): Promise<void> {
    const context = new OperationContext(this.#message, transaction)
    try {
      const responsePayload = await this.#perform(item, context)
      try {
        // The handler of an operation gives the payload of that operation.
        this.#writer.add({ ...headOf(item), resultStatus: 'Success', responsePayload } as ResponseBatchItem)
      } finally {
        wipe(responsePayload)
      }
      await transaction.append(recordOf(this.#message, nameOf(item), context.objectId, 'Success', null))
    } catch (error) {
      throw this.#fail(item, context.objectId, error)
    }
  }

  /** Why an item failed: as `run` said it, or because its transaction could not be committed. */
  failure(item: RequestBatchItem, error: unknown): ItemFailure {
    return error instanceof ItemFailure ? error : this.#fail(item, null, error)
  }

  async #perform(item: RequestBatchItem, context: OperationContext): Promise<unknown> {
    if (!isDeclaredRequest(item) || !isInVersion(operations[item.operation], context.version)) {
      const version = formatVersion(context.version)
      throw new KmipError(
        'OperationNotSupported',
        `operation ${nameOf(item)} is not there in KMIP ${version}, see Query`,
      )
    }
    if (item.messageExtension?.criticalityIndicator === true) {
      throw new KmipError('FeatureNotSupported', 'Message Extension: is critical, and not known here')
    }
    if (item.requestPayload instanceof TtlvError) throw KmipError.from(item.requestPayload)
    // The table has for each operation the handler of its own payload.
    const handler = handlers[item.operation] as Handler<unknown, unknown>
    return await handler(item.requestPayload, context)
  }

  #fail(item: RequestBatchItem, objectId: string | null, error: unknown): ItemFailure {
    const told = this.#toldOf(error, nameOf(item))
    const answer = {
      ...headOf(item),
      resultStatus: 'OperationFailed',
      resultReason: told.code,
      resultMessage: told.message,
      ...(told instanceof FailureWithPayload ? { responsePayload: told.payload } : {}),
      // A payload, if there is one, was made by the handler of the operation.
    } as ResponseBatchItem
    return new ItemFailure(answer, recordOf(this.#message, nameOf(item), objectId, 'OperationFailed', told.code))
  }

  /** What the peer is told; of a fault of ours nothing, that goes to the log. */
  #toldOf(error: unknown, doing: string): KmipError {
    if (error instanceof KmipError) return error
    this.#emit({ kind: 'internal-error', client: this.#message.client.name, doing, error })
    return new KmipError('GeneralFailure', 'the server failed; its log has the cause', { cause: error })
  }
}

/** What an answer repeats of its request. */
export function headOf(item: RequestBatchItem): Pick<ResponseBatchItem, 'operation' | 'uniqueBatchItemId'> {
  return {
    operation: item.operation,
    ...(item.uniqueBatchItemId === undefined ? {} : { uniqueBatchItemId: item.uniqueBatchItemId }),
  }
}

/** The operation's name; its number where we do not know it. */
export function nameOf(item: RequestBatchItem): string {
  return typeof item.operation === 'number' ? `0x${item.operation.toString(16)}` : item.operation
}
