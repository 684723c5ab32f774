import type { ActivateRequest, ActivateResponse } from '@cryptvisor/kmip'
import { activate as toActive } from '../object/lifecycle.ts'
import type { Handler } from './operation-context.ts'

/** KMIP 1.4, 4.19: makes a Pre-Active object Active. */
export const activate: Handler<ActivateRequest, ActivateResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  await context.transaction.update(toActive(object, context.now))
  return { uniqueIdentifier: object.id }
}
