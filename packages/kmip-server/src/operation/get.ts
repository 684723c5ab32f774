import { type GetRequest, type GetResponse, KmipError, v1_4 } from '@cryptvisor/kmip'
import type { Secret } from '@cryptvisor/secret'
import { compareVersions } from '@cryptvisor/ttlv'
import { touch } from '../object/lifecycle.ts'
import { isDestroyed, type StoredObject, singleValue, withValue } from '../object/stored-object.ts'
import type { Handler, OperationContext } from './operation-context.ts'

/** KMIP 1.4, 4.11: gives an object out; its value is the caller's to dispose of. */
export const get: Handler<GetRequest, GetResponse> = async (request, context) => {
  const object = await context.find(request.uniqueIdentifier)
  checkRequest(request)
  if (isDestroyed(object)) throw new KmipError('ItemNotFound', `object ${object.id} is destroyed`)
  checkRelease(object, context)
  const format = formatFor(object, request.keyFormatType)
  const value = await context.transaction.loadValue(object)
  if (value === null) throw new Error(`object ${object.id} has no value and is not destroyed`)
  if (singleValue(object, 'Fresh') === true) {
    await context.transaction.update(touch(withValue(object, 'Fresh', false), context.now))
  }
  return response(object, format, value)
}

function checkRequest(request: GetRequest): void {
  if (request.keyWrappingSpecification !== undefined) {
    throw new KmipError('FeatureNotSupported', 'Key Wrapping Specification: keys are not wrapped here; leave it out')
  }
  if (request.keyCompressionType !== undefined) {
    throw new KmipError('KeyCompressionTypeNotSupported', 'Key Compression Type: is for EC public keys only')
  }
}

/** KMIP 1.4, 3.48 and 3.50: what must not leave in the clear. The reasons have a name since 1.4. */
function checkRelease(object: StoredObject, context: OperationContext): void {
  const isNamed = compareVersions(context.version, v1_4) >= 0
  if (singleValue(object, 'Sensitive') === true) {
    throw new KmipError(isNamed ? 'Sensitive' : 'PermissionDenied', `object ${object.id} is sensitive`)
  }
  if (singleValue(object, 'Extractable') === false) {
    throw new KmipError(isNamed ? 'NotExtractable' : 'PermissionDenied', `object ${object.id} is not extractable`)
  }
}

type AnswerFormat = 'Raw' | 'Opaque' | 'TransparentSymmetricKey' | null

function formatFor(object: StoredObject, wanted: GetRequest['keyFormatType']): AnswerFormat {
  const stored = object.format.keyFormatType
  if (wanted === undefined || wanted === stored) return stored
  if (object.objectType === 'SymmetricKey' && wanted === 'TransparentSymmetricKey') return wanted
  throw new KmipError('KeyFormatTypeNotSupported', `object ${object.id} can be given as ${stored ?? 'it is'} only`)
}

function response(object: StoredObject, format: AnswerFormat, value: Secret): GetResponse {
  const uniqueIdentifier = object.id
  switch (object.objectType) {
    case 'SymmetricKey': {
      const algorithm = singleValue(object, 'Cryptographic Algorithm')
      const lengthBits = singleValue(object, 'Cryptographic Length')
      const common = {
        ...(algorithm === undefined ? {} : { cryptographicAlgorithm: algorithm }),
        ...(lengthBits === undefined ? {} : { cryptographicLength: lengthBits }),
      }
      const keyBlock =
        format === 'TransparentSymmetricKey'
          ? { keyFormatType: format, keyValue: { keyMaterial: { key: value }, attribute: [] }, ...common }
          : { keyFormatType: format ?? 'Raw', keyValue: { keyMaterial: value, attribute: [] }, ...common }
      return { objectType: 'SymmetricKey', uniqueIdentifier, object: { keyBlock } }
    }
    case 'SecretData': {
      const keyFormatType = object.format.keyFormatType ?? 'Raw'
      // What was decoded as a Secret Data Type when it was registered.
      const secretDataType = (object.format.secretDataType ?? 'Password') as 'Password' | 'Seed' | number
      const keyBlock = { keyFormatType, keyValue: { keyMaterial: value, attribute: [] } }
      return { objectType: 'SecretData', uniqueIdentifier, object: { secretDataType, keyBlock } }
    }
    case 'OpaqueObject':
      return {
        objectType: 'OpaqueObject',
        uniqueIdentifier,
        object: { opaqueDataType: object.format.opaqueDataType ?? 0, opaqueDataValue: value },
      }
  }
}
