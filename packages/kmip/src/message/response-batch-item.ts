import {
  bytes,
  choice,
  constant,
  enumeration,
  type Item,
  openEnumeration,
  optional,
  structure,
  text,
  type Undeclared,
  undeclared,
} from '@cryptvisor/ttlv'
import { Operation, ResultReason, ResultStatus } from '../enumeration.ts'
import { type DeclaredOperation, isDeclaredOperation, operations, type ResponseOf } from '../operation/operations.ts'
import { Tag } from '../tag.ts'
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

const operation = openEnumeration(Tag.Operation, Operation)

function variant<Name extends Operation | number, Payload>(
  name: Item<Name>,
  payload: Item<Payload>,
): Item<BatchItemOf<Name, Payload>> {
  return structure(Tag.BatchItem, {
    operation: optional(name),
    uniqueBatchItemId: optional(bytes(Tag.UniqueBatchItemID)),
    resultStatus: enumeration(Tag.ResultStatus, ResultStatus),
    resultReason: optional(openEnumeration(Tag.ResultReason, ResultReason)),
    resultMessage: optional(text(Tag.ResultMessage)),
    asynchronousCorrelationValue: optional(bytes(Tag.AsynchronousCorrelationValue)),
    responsePayload: optional(payload),
    messageExtension: optional(MessageExtension),
  })
}

const variants = new Map<Operation | number, Item<ResponseBatchItem>>(
  Object.entries(operations).map(([name, declaration]) => [
    // The names of the table are names of operations.
    name as DeclaredOperation,
    // Each is the declaration of its own operation's items, which `ResponseBatchItem` is the union of.
    variant<DeclaredOperation, unknown>(
      constant(operation, name as DeclaredOperation),
      declaration.response,
    ) as Item<ResponseBatchItem>,
  ]),
)
// Only for operations that are not in the table, and for none.
const other = variant(operation, undeclared(Tag.ResponsePayload)) as Item<ResponseBatchItem>

/** KMIP 1.4, 7.3: the answer to one operation. The operation says what the payload looks like. */
export const ResponseBatchItem: Item<ResponseBatchItem> = choice(Tag.BatchItem, 'operation', operation, (name) =>
  name === undefined ? other : (variants.get(name) ?? other),
)

/** Whether an item answers one of the declared operations. */
export function isDeclaredResponse(item: ResponseBatchItem): item is DeclaredResponseBatchItem {
  return isDeclaredOperation(item.operation)
}
