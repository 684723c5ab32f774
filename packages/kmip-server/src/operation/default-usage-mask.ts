import { type Attribute, attribute, attributeValue, CryptographicUsageMask } from '@cryptvisor/kmip'

/**
 * KMIP 1.4, 3.19: a symmetric key always has a Cryptographic Usage Mask. Where the client gives none, it is what the
 * algorithm is made for: to encrypt and decrypt, or to make and check MACs.
 */
export function withUsageMask(attributes: readonly Attribute[], algorithm: string | number): readonly Attribute[] {
  if (attributeValue(attributes, 'Cryptographic Usage Mask') !== undefined) return attributes
  const { Encrypt, Decrypt, MACGenerate, MACVerify } = CryptographicUsageMask
  const isMac = typeof algorithm === 'string' && algorithm.startsWith('HMAC_')
  return [...attributes, attribute('Cryptographic Usage Mask', isMac ? MACGenerate | MACVerify : Encrypt | Decrypt)]
}
