import type { ResponseOf } from '@cryptvisor/kmip'
import { Secret } from '@cryptvisor/secret'

/** How many bytes a KEK has: AES-256. */
export const keySizeBytes = 32

/** The key in an answer to Get; what it is instead, as text, when it is no raw AES-256 key. */
export function keyMaterialOf(answer: ResponseOf<'Get'>): Secret | string {
  if (answer.objectType !== 'SymmetricKey') return `is a ${answer.objectType}, not a SymmetricKey`
  const { keyBlock } = answer.object
  if (keyBlock.keyFormatType !== 'Raw') return `comes in format ${keyBlock.keyFormatType}, not Raw`
  if (keyBlock.keyValue === undefined) return 'comes without its value'
  if (keyBlock.keyValue instanceof Secret || keyBlock.keyWrappingData !== undefined) return 'comes wrapped'
  const { cryptographicAlgorithm, cryptographicLength, keyValue } = keyBlock
  const bits = cryptographicLength ?? 'an unknown number of'
  if (
    cryptographicAlgorithm !== 'AES' ||
    cryptographicLength !== 256 ||
    keyValue.keyMaterial.sizeBytes !== keySizeBytes
  ) {
    return `is ${cryptographicAlgorithm ?? 'of an unknown algorithm'} of ${bits} bits in ${keyValue.keyMaterial.sizeBytes} bytes, not AES of 256 bits`
  }
  return keyValue.keyMaterial
}
