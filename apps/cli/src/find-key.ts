import type { Key } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { RestClientError } from '@cryptvisor/rest/client'
import { CliError } from './cli-error.ts'

/**
 * The one key with that ID at any provider. Throws `CliError` `not-found`, or `ambiguous` when several providers know
 * one; a provider that cannot be asked is an error too, since it might know one.
 */
export async function findKey(client: ControlPlaneClient, keyId: string): Promise<Key> {
  const { providers } = await client.keyProviders()
  const answers = await Promise.all(providers.map(({ name }) => keyOrNull(client, name, keyId)))
  const keys = answers.filter((key) => key !== null)
  const [key, ...others] = keys
  if (key === undefined) {
    throw new CliError('not-found', `no key provider knows a key ${keyId}`, {
      next: 'see what there is: cryptvisor keys list',
    })
  }
  if (others.length > 0) {
    throw new CliError('ambiguous', `several key providers know a key ${keyId}`, {
      next: `say which: ${keys.map(({ provider }) => `cryptvisor keys show ${provider} ${keyId}`).join(' or ')}`,
    })
  }
  return key
}

async function keyOrNull(client: ControlPlaneClient, provider: string, keyId: string): Promise<Key | null> {
  try {
    return await client.key(provider, keyId)
  } catch (error) {
    if (error instanceof RestClientError && error.status === 404) return null
    throw error
  }
}
