import { choice, constant, type Item, openEnumeration, undeclared } from '@cryptvisor/ttlv'
import { Operation } from '../enumeration.ts'
import { type DeclaredOperation, operations } from '../operation/operations.ts'
import { Tag } from '../tag.ts'

const operation = openEnumeration(Tag.Operation, Operation)
const payloadTags = { request: Tag.RequestPayload, response: Tag.ResponsePayload }

/**
 * Declares a batch item whose operation says what its payload looks like. `declare` makes the structure: for each of the
 * declared operations, and once for all others and for none, whose payload nobody knows.
 */
export function batchItem<BatchItem extends object>(
  side: 'request' | 'response',
  declare: (operation: Item<Operation | number>, payload: Item<unknown>) => Item<unknown>,
): Item<BatchItem> {
  // Each is the declaration of its own operation's items, which `BatchItem` is the union of.
  const variantOf = (name: Item<Operation | number>, payload: Item<unknown>) =>
    declare(name, payload) as Item<BatchItem>
  const variants = new Map<Operation | number | undefined, Item<BatchItem>>(
    Object.entries(operations).map(([name, declaration]) => [
      // The names of the table are names of operations.
      name as DeclaredOperation,
      variantOf(constant(operation, name as DeclaredOperation), declaration[side]),
    ]),
  )
  const other = variantOf(operation, undeclared(payloadTags[side]))
  // A choice between members of the union.
  return choice(Tag.BatchItem, 'operation', operation, (name) => variants.get(name) ?? other) as Item<BatchItem>
}
