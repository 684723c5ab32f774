import type { KeyProvider } from './key-provider.ts'
import { KeyProviderError } from './key-provider-error.ts'

/** Destroys a key that a probe made, in whatever state it is; one that is gone is fine. Throws a KeyProviderError. */
export async function giveUpProbeKey(provider: KeyProvider, keyId: string): Promise<void> {
  if (await mayBeActive(provider, keyId)) {
    await provider.revokeKey(keyId, 'cessation-of-operation', 'made for a test').catch(unlessMissing)
  }
  await provider.destroyKey(keyId)
}

/** Where the server does not tell of attributes, it may be. */
async function mayBeActive(provider: KeyProvider, keyId: string): Promise<boolean> {
  try {
    const description = await provider.describeKey(keyId)
    return description !== null && (description.state === null || description.state === 'Active')
  } catch (error) {
    if (error instanceof KeyProviderError && error.code === 'denied') return true
    throw error
  }
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof KeyProviderError && error.code === 'key-missing')) throw error
}
