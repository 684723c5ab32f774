import type { DeleteAttributeRequest, DeleteAttributeResponse } from '@cryptvisor/kmip'
import { changedAttributeIn } from '../attribute/attribute-view.ts'
import { deleteAttribute as remove } from '../attribute/change-attribute.ts'
import type { Handler } from './operation-context.ts'

/** KMIP 1.4, 4.16: deletes an instance of an attribute and answers with it. */
export const deleteAttribute: Handler<DeleteAttributeRequest, DeleteAttributeResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  const index = request.attributeIndex ?? 0
  const change = remove(object, request.attributeName, index, context.version, context.now)
  await context.transaction.update(change.object)
  return {
    uniqueIdentifier: object.id,
    attribute: changedAttributeIn(change.attribute, context.version, request.attributeIndex !== undefined),
  }
}
