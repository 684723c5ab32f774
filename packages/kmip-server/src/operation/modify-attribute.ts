import type { ModifyAttributeRequest, ModifyAttributeResponse } from '@cryptvisor/kmip'
import { changedAttributeIn } from '../attribute/attribute-view.ts'
import { modifyAttribute as modify } from '../attribute/change-attribute.ts'
import type { Handler } from './operation-context.ts'
import { checkNames } from './template.ts'

/** KMIP 1.4, 4.15: gives an instance of an attribute another value. */
export const modifyAttribute: Handler<ModifyAttributeRequest, ModifyAttributeResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  const change = modify(object, request.attribute, context.version, context.now)
  await checkNames([change.attribute], object.id, 'IllegalOperation', context)
  await context.transaction.update(change.object)
  return {
    uniqueIdentifier: object.id,
    attribute: changedAttributeIn(change.attribute, context.version, request.attribute.attributeIndex !== undefined),
  }
}
