import { attempt, bytes, optional, structure, type TtlvError, type Undeclared } from '@cryptvisor/ttlv'
import type { Operation } from '../enumeration.ts'
import { type DeclaredOperation, isDeclaredOperation, type RequestOf } from '../operation/operations.ts'
import { Tag } from '../tag.ts'
import { batchItem } from './batch-item.ts'
import { MessageExtension } from './message-extension.ts'

interface BatchItemOf<Name, Payload> {
  readonly operation: Name
  /** Must be there when the message has several items; comes back with the answer. */
  readonly uniqueBatchItemId?: Uint8Array
  /** Where the payload could not be decoded, why. */
  readonly requestPayload: Payload | TtlvError
  readonly messageExtension?: MessageExtension
}

/** A batch item that asks for one of the declared operations. */
export type DeclaredRequestBatchItem<Name extends DeclaredOperation = DeclaredOperation> = {
  [Each in Name]: BatchItemOf<Each, RequestOf<Each>>
}[Name]

/** A batch item that asks for something else. */
export type OtherRequestBatchItem = BatchItemOf<Exclude<Operation, DeclaredOperation> | number, Undeclared>

/** KMIP 1.4, 7.3: one operation of a request. */
export type RequestBatchItem = DeclaredRequestBatchItem | OtherRequestBatchItem

/** KMIP 1.4, 7.3: one operation of a request. The operation says what the payload looks like. */
export const RequestBatchItem = batchItem<RequestBatchItem>('request', (operation, payload) =>
  structure(Tag.BatchItem, {
    operation,
    uniqueBatchItemId: optional(bytes(Tag.UniqueBatchItemID)),
    requestPayload: attempt(payload),
    messageExtension: optional(MessageExtension),
  }),
)

/** Whether an item asks for one of the declared operations. */
export function isDeclaredRequest(item: RequestBatchItem): item is DeclaredRequestBatchItem {
  return isDeclaredOperation(item.operation)
}
