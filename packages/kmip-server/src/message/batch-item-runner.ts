import {
  formatVersion,
  isDeclaredRequest,
  isInVersion,
  KmipError,
  operations,
  type RequestBatchItem,
  type ResponseBatchItem,
} from '@cryptvisor/kmip'
import { TtlvError, wipe } from '@cryptvisor/ttlv'
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

/** What came of a batch item. */
export type ItemOutcome =
  | { readonly isSuccess: true; readonly encoded: Uint8Array; readonly record: AuditRecord }
  | { readonly isSuccess: false; readonly item: ResponseBatchItem; readonly record: AuditRecord }

/** A batch item failed: thrown out of its transaction so that nothing of it stays. */
export class ItemFailure extends Error {
  readonly outcome: Extract<ItemOutcome, { isSuccess: false }>

  constructor(outcome: Extract<ItemOutcome, { isSuccess: false }>) {
    super('a batch item failed')
    this.outcome = outcome
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

  /** Carries out an item within a transaction, its audit record included. Throws an ItemFailure. */
  async run(
    item: RequestBatchItem,
    transaction: ObjectTransaction,
  ): Promise<Extract<ItemOutcome, { isSuccess: true }>> {
    const context = new OperationContext(this.#message, transaction)
    try {
      const responsePayload = await this.#perform(item, context)
      let encoded: Uint8Array
      try {
        // The handler of an operation gives the payload of that operation.
        const response = { ...headOf(item), resultStatus: 'Success', responsePayload } as ResponseBatchItem
        encoded = this.#writer.encodeItem(response)
      } finally {
        wipe(responsePayload)
      }
      const record = this.record(nameOf(item), context.objectId, 'Success', null)
      await transaction.append(record)
      return { isSuccess: true, encoded, record }
    } catch (error) {
      throw new ItemFailure(this.#fail(item, context, error))
    }
  }

  /** The failure of an item whose transaction could not be committed. */
  fail(item: RequestBatchItem, error: unknown): Extract<ItemOutcome, { isSuccess: false }> {
    return this.#fail(item, null, error)
  }

  /** The audit record of a message of which nothing was carried out. */
  refusal(error: KmipError): AuditRecord {
    return this.record(null, null, 'OperationFailed', error.code)
  }

  /** The audit record of an operation of this message. */
  record(
    operation: string | null,
    objectId: string | null,
    resultStatus: AuditRecord['resultStatus'],
    resultReason: AuditRecord['resultReason'],
  ): AuditRecord {
    const { client, version, settings } = this.#message
    return {
      time: settings.now(),
      client: client.name,
      certificateFingerprint: client.certificateFingerprint,
      address: client.address,
      protocolVersion: formatVersion(version),
      operation,
      objectId,
      resultStatus,
      resultReason,
    }
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

  #fail(item: RequestBatchItem, context: OperationContext | null, error: unknown) {
    const told = this.#toldOf(error, nameOf(item))
    const response = {
      ...headOf(item),
      resultStatus: 'OperationFailed',
      resultReason: told.code,
      resultMessage: told.message,
      ...(told instanceof FailureWithPayload ? { responsePayload: told.payload } : {}),
      // A payload, if there is one, was made by the handler of the operation.
    } as ResponseBatchItem
    const record = this.record(nameOf(item), context?.objectId ?? null, 'OperationFailed', told.code)
    return { isSuccess: false as const, item: response, record }
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
