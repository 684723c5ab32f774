import type { GetAttributeListRequest, GetAttributeListResponse } from '@cryptvisor/kmip'
import { isShownIn } from '../attribute/attribute-rules.ts'
import { viewOf } from './get-attributes.ts'
import type { Handler } from './operation-context.ts'

/** KMIP 1.4, 4.13: the names of the attributes that an object has, each once. */
export const getAttributeList: Handler<GetAttributeListRequest, GetAttributeListResponse> = async (
  request,
  context,
) => {
  const object = await context.find(request.uniqueIdentifier)
  const attributes = await viewOf(object, true, context)
  const names = new Set(attributes.map((each) => each.attributeName).filter((name) => isShownIn(name, context.version)))
  return { uniqueIdentifier: object.id, attributeName: [...names] }
}
