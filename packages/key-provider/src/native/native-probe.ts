import type { ProviderStatus } from '../provider-status.ts'
import { deriveNativeKey } from './native-key-derivation.ts'
import { newNativeKeyId } from './native-key-id.ts'
import type { NativeKeyStore } from './native-key-store.ts'

/**
 * Finds out whether keys can be derived, by deriving one of an ID that nobody keeps. Nothing is put on record: each probe
 * would leave a tombstone. Throws what is wrong with the database or the barrier.
 */
export async function probeNativeProvider(providerId: string, store: NativeKeyStore): Promise<ProviderStatus> {
  const { generation, isBackedUp } = await store.current()
  using derivationKey = await store.derivationKey(generation)
  if (derivationKey === null) {
    const reason = `the derivation key of generation ${generation} is not there: restore the provider from its backup`
    return { health: 'red', reason, servers: [], keyMadeAt: null }
  }
  const keyId = newNativeKeyId(derivationKey, providerId, generation)
  using one = deriveNativeKey(derivationKey, providerId, keyId)
  using two = deriveNativeKey(derivationKey, providerId, keyId)
  if (!one.equal(two))
    return { health: 'red', reason: 'a key was derived twice, and differently', servers: [], keyMadeAt: null }
  if (isBackedUp)
    return { health: 'green', reason: 'a key was derived, the same each time', servers: [], keyMadeAt: null }
  return {
    health: 'yellow',
    reason: `not backed up: the derivation key of generation ${generation} exists here alone, and no new key is made with it before «key-provider backup ${providerId} --out FILE»`,
    servers: [],
    keyMadeAt: null,
  }
}
