import {
  type Attribute,
  attribute,
  attributeValue,
  KmipError,
  type RegisterRequest,
  type RegisterResponse,
} from '@cryptvisor/kmip'
import { newObject } from '../attribute/new-object.ts'
import { withUsageMask } from './default-usage-mask.ts'
import { isLengthOf } from './key-length.ts'
import type { Handler } from './operation-context.ts'
import { type RegisteredValue, registeredValue } from './registered-value.ts'
import { attributesOf, insertObject } from './template.ts'

/** KMIP 1.4, 4.3: takes an object that the client has. */
export const register: Handler<RegisterRequest, RegisterResponse> = async (request, context) => {
  const registered = registeredValue(request)
  const object = newObject({
    id: context.message.settings.newId(),
    owner: context.owner,
    objectType: registered.objectType,
    format: registered.format,
    attributes: withBlockAttributes(attributesOf(request.templateAttribute), registered),
    version: context.version,
    now: context.now,
    isGenerated: false,
  })
  await insertObject(object, registered.value, context)
  return { uniqueIdentifier: object.id }
}

/** Algorithm and length may stand among the attributes or in the Key Block; where they stand twice they must agree. */
function withBlockAttributes(given: readonly Attribute[], registered: RegisteredValue): readonly Attribute[] {
  if (registered.objectType === 'OpaqueObject') return given
  const mask = attributeValue(given, 'Cryptographic Usage Mask')
  if (registered.objectType === 'SecretData') {
    // Some clients register secret data without any attribute.
    return mask === undefined ? [...given, attribute('Cryptographic Usage Mask', 0)] : given
  }
  const algorithm = attributeValue(given, 'Cryptographic Algorithm')
  const lengthBits = attributeValue(given, 'Cryptographic Length')
  const { sizeBytes } = registered.value
  checkSame('Cryptographic Algorithm', algorithm, registered.algorithm)
  checkSame('Cryptographic Length', lengthBits, registered.lengthBits)
  const finalAlgorithm = algorithm ?? registered.algorithm
  const finalLength = lengthBits ?? registered.lengthBits
  if (finalAlgorithm === undefined || finalLength === undefined) {
    throw new KmipError('InvalidField', 'a symmetric key needs Cryptographic Algorithm and Cryptographic Length')
  }
  if (!isLengthOf(finalAlgorithm, finalLength, sizeBytes)) {
    throw new KmipError('InvalidField', `Cryptographic Length: is ${finalLength}, and the key has ${sizeBytes} bytes`)
  }
  return [
    ...withUsageMask(given, finalAlgorithm),
    ...(algorithm === undefined ? [{ attributeName: 'Cryptographic Algorithm', attributeValue: finalAlgorithm }] : []),
    ...(lengthBits === undefined ? [attribute('Cryptographic Length', finalLength)] : []),
  ] as readonly Attribute[]
}

function checkSame(name: string, one: string | number | undefined, other: string | number | undefined): void {
  if (one !== undefined && other !== undefined && one !== other) {
    throw new KmipError('InvalidField', `${name}: the attribute and the Key Block differ`)
  }
}
