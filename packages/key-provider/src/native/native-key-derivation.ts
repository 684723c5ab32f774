import { hkdf } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { keySizeBytes } from '../key-material.ts'

/** How many bytes a derivation key has. */
export const derivationKeySizeBytes = 32

/**
 * A native provider's key: HKDF-SHA-256 (RFC 5869) of the derivation key, without a salt, for
 * `cryptvisor-native-key/1/<provider ID>/<key ID>`. Neither ID has a slash, so no two keys share this text. What
 * `docs/native-provider.md` does with standard tools is this; it never changes under the version 1.
 */
export function deriveNativeKey(derivationKey: Secret, providerId: string, keyId: string): Secret {
  return hkdf(derivationKey, { info: `cryptvisor-native-key/1/${providerId}/${keyId}`, sizeBytes: keySizeBytes })
}
