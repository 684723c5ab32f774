import type { AddAttributeRequest, AddAttributeResponse } from '@cryptvisor/kmip'
import { changedAttributeIn } from '../attribute/attribute-view.ts'
import { addAttribute as add } from '../attribute/change-attribute.ts'
import type { Handler } from './operation-context.ts'
import { checkNames } from './template.ts'

/** KMIP 1.4, 4.14: adds an instance of an attribute. */
export const addAttribute: Handler<AddAttributeRequest, AddAttributeResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  const change = add(object, request.attribute, context.version, context.now)
  await checkNames([change.attribute], object.id, 'IllegalOperation', context)
  await context.transaction.update(change.object)
  return { uniqueIdentifier: object.id, attribute: changedAttributeIn(change.attribute, context.version, false) }
}
