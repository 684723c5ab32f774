import type { DestroyRequest, DestroyResponse } from '@cryptvisor/kmip'
import { destroy as toDestroyed } from '../object/lifecycle.ts'
import type { Handler } from './operation-context.ts'

/** KMIP 1.4, 4.21: erases the key material; the attributes stay, to tell what there was. */
export const destroy: Handler<DestroyRequest, DestroyResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  const destroyed = toDestroyed(object, context.now)
  await context.transaction.eraseValue(object)
  await context.transaction.update(destroyed)
  return { uniqueIdentifier: object.id }
}
