import { deriveHpkeKeyPair, type HpkeKeyPair, hkdf } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'

/** HKDF's info for what a host key makes its key pair of. Core dumps had it first, and it stays. */
const info = 'cryptvisor core dumps'

/** The key pair that a host key stands for: its public part seals core dumps and support bundles, and only the host key opens them. */
export function hostKeyPairOf(hostKey: Secret): HpkeKeyPair {
  using material = hkdf(hostKey, { info, sizeBytes: 32 })
  return deriveHpkeKeyPair(material)
}
