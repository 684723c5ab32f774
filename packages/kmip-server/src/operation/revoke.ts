import type { RevokeRequest, RevokeResponse } from '@cryptvisor/kmip'
import { revoke as toRevoked } from '../object/lifecycle.ts'
import type { Handler } from './operation-context.ts'

/** KMIP 1.4, 4.20: takes an object out of use. */
export const revoke: Handler<RevokeRequest, RevokeResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  const { revocationReason, compromiseOccurrenceDate } = request
  await context.transaction.update(toRevoked(object, revocationReason, compromiseOccurrenceDate, context.now))
  return { uniqueIdentifier: object.id }
}
