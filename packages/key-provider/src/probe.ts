import { formatVersion } from '@cryptvisor/kmip'
import { type ClientLimits, type KmipClient, KmipClientError } from '@cryptvisor/kmip-client'
import type { Environment } from './failover.ts'
import type { KeyProvider } from './key-provider.ts'
import { KeyProviderError } from './key-provider-error.ts'
import { createClient, type KmipServer } from './kmip-server.ts'
import type { Health, ProviderStatus, ServerStatus } from './provider-status.ts'

/** Finds out how a provider is: each server for itself, and the provider by the whole life of a key. */
export async function probeProvider(
  provider: KeyProvider,
  servers: readonly KmipServer[],
  limits: Partial<ClientLimits>,
  environment: Environment,
): Promise<ProviderStatus> {
  const statuses = await Promise.all(servers.map((server) => probeServer(provider.id, server, limits, environment)))
  const life = await probeKey(provider)
  const bad = statuses.filter((status) => status.health !== 'green')
  if (life.health !== 'green' || bad.length === 0) return { ...life, servers: statuses }
  return {
    health: 'yellow',
    reason: `keys can be had, but ${bad.map(({ name, reason }) => `server ${name}: ${reason}`).join('; ')}`,
    servers: statuses,
  }
}

/** Asks a server who it is, on a connection of its own. */
async function probeServer(
  providerId: string,
  server: KmipServer,
  limits: Partial<ClientLimits>,
  environment: Environment,
): Promise<ServerStatus> {
  const { name, host, port } = server
  const unknown = {
    name,
    host,
    port,
    protocolVersion: null,
    protocolVersions: [],
    vendorIdentification: null,
    roundTripMs: null,
  }
  try {
    await using client = createClient(providerId, server, limits)
    const protocolVersion = formatVersion(await client.negotiate())
    const start = environment.now()
    const { vendorIdentification } = await client.query({ queryFunction: ['QueryServerInformation'] })
    const roundTripMs = Math.round((environment.now() - start) * 10) / 10
    return {
      ...unknown,
      health: 'green',
      reason: 'answers',
      isReachable: true,
      isTrusted: true,
      protocolVersion,
      protocolVersions: await versionsOf(client, protocolVersion),
      vendorIdentification: vendorIdentification ?? null,
      roundTripMs,
    }
  } catch (error) {
    const code = error instanceof KmipClientError ? error.code : 'invalid-options'
    return {
      ...unknown,
      health: 'red',
      reason: textOf(error),
      isReachable: code !== 'connect-failed' && code !== 'timeout' && code !== 'invalid-options',
      isTrusted: code === 'closed' || code === 'protocol' || code === 'operation-failed',
    }
  }
}

/** A server of 1.0 knows no Discover Versions, and has that one version. */
async function versionsOf(client: KmipClient, spoken: string): Promise<string[]> {
  if (spoken === '1.0') return [spoken]
  return (await client.discoverVersions({ protocolVersion: [] })).protocolVersion.map(formatVersion)
}

/** Has a key made, activated, given, revoked and destroyed. */
async function probeKey(provider: KeyProvider): Promise<{ health: Health; reason: string }> {
  let keyId: string | null = null
  try {
    keyId = await provider.createKey()
    await provider.activateKey(keyId)
    const key = await provider.getKey(keyId)
    key[Symbol.dispose]()
  } catch (error) {
    const left = keyId === null ? null : await giveUp(provider, keyId)
    return { health: 'red', reason: left === null ? textOf(error) : `${textOf(error)}; ${left}` }
  }
  const left = await giveUp(provider, keyId)
  if (left !== null) return { health: 'yellow', reason: `keys can be had, but ${left}` }
  return { health: 'green', reason: 'a key was made, activated, given, revoked and destroyed' }
}

/** Destroys the key of a probe; says which one is left over when that fails, else `null`. */
async function giveUp(provider: KeyProvider, keyId: string): Promise<string | null> {
  try {
    const description = await provider.describeKey(keyId)
    if (description?.state === 'Active') await provider.revokeKey(keyId, 'cessation-of-operation', 'made for a test')
    await provider.destroyKey(keyId)
    return null
  } catch (error) {
    return `key ${keyId}, made for a test, is left over: ${textOf(error)}`
  }
}

function textOf(error: unknown): string {
  if (error instanceof KmipClientError || error instanceof KeyProviderError) return error.message
  throw error
}
