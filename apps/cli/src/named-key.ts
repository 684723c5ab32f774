import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { findKey } from './find-key.ts'

/** A key by name. */
export interface NamedKey {
  readonly provider: string
  readonly keyId: string
}

/**
 * The key that a user means: `PROVIDER KEY-ID`, `PROVIDER/KEY-ID` as it is shown everywhere, or a key ID alone, which
 * every provider is asked for. Throws what `findKey` throws.
 */
export async function namedKey(
  client: ControlPlaneClient,
  first: string,
  second: string | undefined,
): Promise<NamedKey> {
  const named = keyWithProvider(first, second)
  if (named !== null) return named
  const { provider, keyId } = await findKey(client, first)
  return { provider, keyId }
}

/** The same without asking anybody; `null`: no provider is named. */
export function keyWithProvider(first: string, second: string | undefined): NamedKey | null {
  if (second !== undefined) return { provider: first, keyId: second }
  const slash = first.indexOf('/')
  // The names of providers have none.
  return slash > 0 ? { provider: first.slice(0, slash), keyId: first.slice(slash + 1) } : null
}
