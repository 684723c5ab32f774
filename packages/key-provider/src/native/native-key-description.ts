import { type Attribute, attribute, CryptographicUsageMask, customAttribute } from '@cryptvisor/kmip'
import { describeKey } from '../key-description.ts'
import type { KeyDescription } from '../key-provider.ts'
import { checkLabels } from '../labels.ts'
import type { NativeKey } from './native-key-store.ts'

/** A native key as a KMIP server would tell of it, so that nobody has to know the difference. */
export function describeNativeKey(key: NativeKey): KeyDescription {
  const { keyId, state, createdAt, activatedAt, revokedAt, revocation, destroyedAt } = key
  const compromised = state === 'Compromised' || state === 'DestroyedCompromised'
  const attributes: Attribute[] = [
    attribute('Unique Identifier', keyId),
    attribute('Object Type', 'SymmetricKey'),
    attribute('Cryptographic Algorithm', 'AES'),
    attribute('Cryptographic Length', 256),
    attribute('Cryptographic Usage Mask', CryptographicUsageMask.Encrypt | CryptographicUsageMask.Decrypt),
    attribute('State', state),
    attribute('Initial Date', new Date(createdAt)),
    ...(activatedAt === null ? [] : [attribute('Activation Date', new Date(activatedAt))]),
    ...(revokedAt === null
      ? []
      : [attribute(compromised ? 'Compromise Date' : 'Deactivation Date', new Date(revokedAt))]),
    ...(revocation === null
      ? []
      : [
          attribute('Revocation Reason', {
            revocationReasonCode: compromised ? 'KeyCompromise' : 'CessationOfOperation',
            revocationMessage: revocation,
          }),
        ]),
    ...(destroyedAt === null ? [] : [attribute('Destroy Date', new Date(destroyedAt))]),
    ...[...checkLabels(key.labels)].map(([name, value]) => customAttribute(name, value)),
  ]
  return describeKey(keyId, attributes)
}
