import { bytes, enumeration, openEnumeration, optional, structure, text, type Undeclared } from '@cryptvisor/ttlv'
import { type Operation, ResultReason, ResultStatus } from '../enumeration.ts'
import { type DeclaredOperation, isDeclaredOperation, type ResponseOf } from '../operation/operations.ts'
import { Tag } from '../tag.ts'
import { batchItem } from './batch-item.ts'
import { MessageExtension } from './message-extension.ts'

interface BatchItemOf<Name, Payload> {
  /** Left out when the request could not be decoded so far. */
  readonly operation?: Name
  readonly uniqueBatchItemId?: Uint8Array
  readonly resultStatus: ResultStatus
  /** Must be there in a failure. */
  readonly resultReason?: ResultReason | number
  readonly resultMessage?: string
  readonly asynchronousCorrelationValue?: Uint8Array
  readonly responsePayload?: Payload
  readonly messageExtension?: MessageExtension
}

/** The answer to one of the declared operations. */
export type DeclaredResponseBatchItem<Name extends DeclaredOperation = DeclaredOperation> = {
  [Each in Name]: BatchItemOf<Each, ResponseOf<Each>> & { readonly operation: Each }
}[Name]

/** The answer to something else, or to nothing that could be recognised. */
export type OtherResponseBatchItem = BatchItemOf<Exclude<Operation, DeclaredOperation> | number, Undeclared>

/** KMIP 1.4, 7.3: the answer to one operation. */
export type ResponseBatchItem = DeclaredResponseBatchItem | OtherResponseBatchItem

/** KMIP 1.4, 7.3: the answer to one operation. The operation says what the payload looks like. */
export const ResponseBatchItem = batchItem<ResponseBatchItem>('response', (operation, payload) =>
  structure(Tag.BatchItem, {
    operation: optional(operation),
    uniqueBatchItemId: optional(bytes(Tag.UniqueBatchItemID)),
    resultStatus: enumeration(Tag.ResultStatus, ResultStatus),
    resultReason: optional(openEnumeration(Tag.ResultReason, ResultReason)),
    resultMessage: optional(text(Tag.ResultMessage)),
    asynchronousCorrelationValue: optional(bytes(Tag.AsynchronousCorrelationValue)),
    responsePayload: optional(payload),
    messageExtension: optional(MessageExtension),
  }),
)

/** Whether an item answers one of the declared operations. */
export function isDeclaredResponse(item: ResponseBatchItem): item is DeclaredResponseBatchItem {
  return isDeclaredOperation(item.operation)
}
