import type { KeyReference } from '@cryptvisor/host-agent-api'
import { type KeyProvider, KeyProviderError, type RevocationCause } from '@cryptvisor/key-provider'

const destroyedStates: ReadonlySet<string> = new Set(['Destroyed', 'DestroyedCompromised'])

/** Whether a provider that says so of a key has nothing of it any more; `null`: it does not know the key. */
export const isGone = (found: { readonly state: string | null } | null): boolean =>
  found === null || (found.state !== null && destroyedStates.has(found.state))

/**
 * Revokes and destroys a key; an active one cannot be destroyed (KMIP 1.4, 4.21). One that is gone is fine. Gives
 * what the provider says of it afterwards, KMIP's word; `null`: it does not know the key any more. Throws
 * `KeyProviderError`, also when the provider says that it did and has the key still.
 */
export async function destroyAtProvider(
  provider: KeyProvider,
  key: KeyReference,
  cause: RevocationCause,
  message: string,
): Promise<string | null> {
  try {
    await provider.revokeKey(key.keyId, cause, message)
    await provider.destroyKey(key.keyId)
  } catch (error) {
    if (!(error instanceof KeyProviderError && error.code === 'key-missing')) throw error
  }
  const found = await provider.describeKey(key.keyId)
  if (isGone(found)) return found?.state ?? null
  throw new KeyProviderError(
    'denied',
    { providerId: key.provider, keyId: key.keyId },
    `key provider ${key.provider} answered that it destroyed key ${key.keyId}, and says that the key is ${found?.state ?? 'there'}`,
  )
}

/** Revokes a key; one that is gone is fine. Gives what the provider says of it afterwards, as `destroyAtProvider` does. */
export async function revokeAtProvider(
  provider: KeyProvider,
  key: KeyReference,
  cause: RevocationCause,
  message: string,
): Promise<string | null> {
  try {
    await provider.revokeKey(key.keyId, cause, message)
  } catch (error) {
    if (!(error instanceof KeyProviderError && error.code === 'key-missing')) throw error
  }
  return (await provider.describeKey(key.keyId))?.state ?? null
}
