import { type KeyBlock, KmipError, type RegisterRequest } from '@cryptvisor/kmip'
import { Secret } from '@cryptvisor/secret'
import type { StoredObjectType, ValueFormat } from '../object/stored-object.ts'

/** What a client registers, taken apart. `value` belongs to the request. */
export interface RegisteredValue {
  readonly objectType: StoredObjectType
  readonly format: ValueFormat
  readonly value: Secret
  /** As the Key Block says it, if it does. */
  readonly algorithm: string | number | undefined
  readonly lengthBits: number | undefined
}

/** Takes apart what is to be registered. Throws a KmipError for what is not kept here. */
export function registeredValue(request: RegisterRequest): RegisteredValue {
  switch (request.objectType) {
    case 'SymmetricKey': {
      const { keyBlock } = request.object
      const { keyFormatType, value } = materialOf(keyBlock)
      if (keyFormatType === 'Opaque') {
        throw new KmipError('KeyFormatTypeNotSupported', 'a SymmetricKey is Raw or TransparentSymmetricKey')
      }
      return {
        objectType: 'SymmetricKey',
        format: { keyFormatType, secretDataType: null, opaqueDataType: null },
        value,
        algorithm: keyBlock.cryptographicAlgorithm,
        lengthBits: keyBlock.cryptographicLength,
      }
    }
    case 'SecretData': {
      const { keyBlock, secretDataType } = request.object
      const { keyFormatType, value } = materialOf(keyBlock)
      return {
        objectType: 'SecretData',
        format: { keyFormatType, secretDataType, opaqueDataType: null },
        value,
        algorithm: undefined,
        lengthBits: undefined,
      }
    }
    case 'OpaqueObject':
      return {
        objectType: 'OpaqueObject',
        format: {
          keyFormatType: null,
          secretDataType: null,
          opaqueDataType: opaqueType(request.object.opaqueDataType),
        },
        value: request.object.opaqueDataValue,
        algorithm: undefined,
        lengthBits: undefined,
      }
    case 'Certificate':
    case 'PublicKey':
    case 'PrivateKey':
    case 'SplitKey':
    case 'Template':
    case 'PGPKey':
      throw new KmipError('InvalidField', `Object Type: no ${request.objectType} is kept here, see Query`)
  }
}

function materialOf(block: KeyBlock): { keyFormatType: 'Raw' | 'Opaque'; value: Secret } {
  if (block.keyWrappingData !== undefined || block.keyValue instanceof Secret) {
    throw new KmipError('FeatureNotSupported', 'Key Wrapping Data: wrapped keys are not taken; send the key as it is')
  }
  if (block.keyCompressionType !== undefined) {
    throw new KmipError('KeyCompressionTypeNotSupported', 'Key Compression Type: is for EC public keys only')
  }
  if (block.keyValue === undefined) {
    throw new KmipError('FeatureNotSupported', 'Key Value: is missing; keys that lie elsewhere are not kept here')
  }
  if (block.keyValue.attribute.length > 0) {
    throw new KmipError('InvalidField', 'Key Value: attributes go into the Template-Attribute')
  }
  const material: unknown = block.keyValue.keyMaterial
  const format = block.keyFormatType
  if ((format === 'Raw' || format === 'Opaque') && material instanceof Secret) {
    return { keyFormatType: format, value: notEmpty(material) }
  }
  if (format === 'TransparentSymmetricKey' && isTransparent(material)) {
    return { keyFormatType: 'Raw', value: notEmpty(material.key) }
  }
  throw new KmipError('KeyFormatTypeNotSupported', `Key Format Type ${format} is not kept for this object`)
}

function isTransparent(material: unknown): material is { key: Secret } {
  return typeof material === 'object' && material !== null && 'key' in material && material.key instanceof Secret
}

function notEmpty(value: Secret): Secret {
  if (value.sizeBytes > 0) return value
  throw new KmipError('InvalidField', 'Key Material: is empty')
}

/** The standard names no Opaque Data Type (KMIP 1.4, 9.1.3.2.10), so it is a number. */
function opaqueType(type: string | number): number {
  if (typeof type === 'number') return type
  throw new KmipError('InvalidField', 'Opaque Data Type: must be an extension')
}
