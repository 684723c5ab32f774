import { attributeValue, type CreateRequest, type CreateResponse, KmipError } from '@cryptvisor/kmip'
import { newObject } from '../attribute/new-object.ts'
import { withUsageMask } from './default-usage-mask.ts'
import { madeKeySizeBytes, setOddParity } from './key-length.ts'
import type { Handler } from './operation-context.ts'
import { attributesOf, insertObject } from './template.ts'

/** KMIP 1.4, 4.1: makes a symmetric key. */
export const create: Handler<CreateRequest, CreateResponse> = async (request, context) => {
  if (request.objectType !== 'SymmetricKey') {
    throw new KmipError('InvalidField', `Object Type: Create makes a SymmetricKey, no ${request.objectType}`)
  }
  const attributes = attributesOf(request.templateAttribute)
  const algorithm = attributeValue(attributes, 'Cryptographic Algorithm')
  const lengthBits = attributeValue(attributes, 'Cryptographic Length')
  if (algorithm === undefined || lengthBits === undefined) {
    throw new KmipError('InvalidField', 'Cryptographic Algorithm and Cryptographic Length are needed to make a key')
  }
  const sizeBytes = madeKeySizeBytes(algorithm, lengthBits)
  if (sizeBytes === null) {
    throw new KmipError('InvalidField', `keys of ${lengthBits} bits for algorithm ${algorithm} are not made here`)
  }
  const { settings } = context.message
  const object = newObject({
    id: settings.newId(),
    owner: context.owner,
    objectType: 'SymmetricKey',
    format: { keyFormatType: 'Raw', secretDataType: null, opaqueDataType: null },
    attributes: withUsageMask(attributes, algorithm),
    version: context.version,
    now: context.now,
    isGenerated: true,
  })
  using value = settings.random(sizeBytes)
  if (algorithm === 'DES3') value.expose(setOddParity)
  await insertObject(object, value, context)
  return { objectType: 'SymmetricKey', uniqueIdentifier: object.id }
}
