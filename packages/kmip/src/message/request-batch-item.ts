import {
  attempt,
  bytes,
  choice,
  constant,
  type Item,
  openEnumeration,
  optional,
  structure,
  type TtlvError,
  type Undeclared,
  undeclared,
} from '@cryptvisor/ttlv'
import { Operation } from '../enumeration.ts'
import { type DeclaredOperation, isDeclaredOperation, operations, type RequestOf } from '../operation/operations.ts'
import { Tag } from '../tag.ts'
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

const operation = openEnumeration(Tag.Operation, Operation)

function variant<Name extends Operation | number, Payload>(
  name: Item<Name>,
  payload: Item<Payload>,
): Item<BatchItemOf<Name, Payload>> {
  return structure(Tag.BatchItem, {
    operation: name,
    uniqueBatchItemId: optional(bytes(Tag.UniqueBatchItemID)),
    requestPayload: attempt(payload),
    messageExtension: optional(MessageExtension),
  })
}

const variants = new Map<Operation | number, Item<RequestBatchItem>>(
  Object.entries(operations).map(([name, declaration]) => [
    // The names of the table are names of operations.
    name as DeclaredOperation,
    // Each is the declaration of its own operation's items, which `RequestBatchItem` is the union of.
    variant<DeclaredOperation, unknown>(
      constant(operation, name as DeclaredOperation),
      declaration.request,
    ) as Item<RequestBatchItem>,
  ]),
)
// Only for operations that are not in the table.
const other = variant(operation, undeclared(Tag.RequestPayload)) as Item<RequestBatchItem>

/** KMIP 1.4, 7.3: one operation of a request. The operation says what the payload looks like. */
export const RequestBatchItem: Item<RequestBatchItem> = choice(Tag.BatchItem, 'operation', operation, (name) =>
  name === undefined ? null : (variants.get(name) ?? other),
)

/** Whether an item asks for one of the declared operations. */
export function isDeclaredRequest(item: RequestBatchItem): item is DeclaredRequestBatchItem {
  return isDeclaredOperation(item.operation)
}
