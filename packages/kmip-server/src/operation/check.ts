import { type CheckRequest, type CheckResponse, KmipError } from '@cryptvisor/kmip'
import { singleValue } from '../object/stored-object.ts'
import { FailureWithPayload, type Handler } from './operation-context.ts'

/** KMIP 1.4, 4.10: says whether an object may be used like this; a failure names the fields that were too much. */
export const check: Handler<CheckRequest, CheckResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  const mask = request.cryptographicUsageMask
  const ownMask = singleValue(object, 'Cryptographic Usage Mask') ?? 0
  const count = request.usageLimitsCount
  const left = singleValue(object, 'Usage Limits')?.usageLimitsCount
  const failing: CheckResponse = {
    uniqueIdentifier: object.id,
    ...(count !== undefined && left !== undefined && count > left ? { usageLimitsCount: count } : {}),
    ...(mask !== undefined && (ownMask & mask) !== mask ? { cryptographicUsageMask: mask } : {}),
  }
  if (Object.keys(failing).length === 1) return { uniqueIdentifier: object.id }
  // A later item of the batch must not use an object that failed (KMIP 1.4, 4.10).
  context.message.placeholder = null
  throw new FailureWithPayload(
    new KmipError('PermissionDenied', `object ${object.id} may not be used like this`),
    failing,
  )
}
