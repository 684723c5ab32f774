import { type ClientLimits, KmipClientError } from '@cryptvisor/kmip-client'
import type { Secret } from '@cryptvisor/secret'
import type { Environment } from './failover.ts'
import type { KeyDescription, KeyProvider } from './key-provider.ts'
import { KeyProviderError } from './key-provider-error.ts'
import type { KmipServer } from './kmip-server.ts'
import { giveUpProbeKey } from './probe-key.ts'
import { probeServer } from './probe-server.ts'
import type { Health, ProviderStatus, ServerStatus } from './provider-status.ts'

/** Told of the keys that probes make, so that none is left over when a probe is cut short. */
export interface ProbeWatch {
  /** A key was made; nothing else happens to it before this settles. */
  made(keyId: string): Promise<void>
  /** It is destroyed. */
  gone(keyId: string): Promise<void>
}

/** What nobody watches. */
export const unwatched: ProbeWatch = { made: async () => undefined, gone: async () => undefined }

/**
 * Finds out how a provider is, by the whole life of a key: it is made, labelled, activated, read back at every server, and
 * destroyed.
 */
export async function probeProvider(
  provider: KeyProvider,
  servers: readonly KmipServer[],
  limits: Partial<ClientLimits>,
  environment: Environment,
  watch: ProbeWatch,
): Promise<ProviderStatus> {
  const askAll = (key: ProbeKey | null) =>
    Promise.all(servers.map((server) => probeServer(provider.id, server, key, limits, environment)))
  let keyId: string | null = null
  let key: Secret | null = null
  try {
    keyId = await provider.createKey()
    await watch.made(keyId)
    const labels = await label(provider, keyId)
    await provider.activateKey(keyId)
    key = await provider.getKey(keyId)
    const description = await describe(provider, keyId)
    const statuses = await askAll({ keyId, key })
    const warnings = [...warningsOf(statuses), ...labels, ...description.warnings]
    const left = await giveUp(provider, keyId, watch)
    return { ...verdict([...warnings, ...left]), servers: statuses, keyMadeAt: description.madeAt }
  } catch (error) {
    const left = keyId === null ? [] : await giveUp(provider, keyId, watch)
    const statuses = await askAll(null)
    return { health: 'red', reason: [textOf(error), ...left].join('; '), servers: statuses, keyMadeAt: null }
  } finally {
    key?.[Symbol.dispose]()
  }
}

/** The key of a probe; its bytes stay whoever's made it. */
export interface ProbeKey {
  readonly keyId: string
  readonly key: Secret
}

function verdict(warnings: readonly string[]): { health: Health; reason: string } {
  if (warnings.length > 0) return { health: 'yellow', reason: `keys can be had, but ${warnings.join('; ')}` }
  return {
    health: 'green',
    reason: 'a key was made, labelled, activated, read back at each server, revoked and destroyed',
  }
}

function warningsOf(statuses: readonly ServerStatus[]): string[] {
  return statuses.filter(({ health }) => health !== 'green').map(({ name, reason }) => `server ${name}: ${reason}`)
}

/** Labels are for people: a server that does not take them is of use all the same. */
async function label(provider: KeyProvider, keyId: string): Promise<string[]> {
  try {
    await provider.labelKey(keyId, { 'x-Name': `probe of key provider ${provider.id}` })
    return []
  } catch (error) {
    return [`labels are refused, so keys cannot be told apart at the key server: ${textOf(error)}`]
  }
}

/** When the key was made, by the server's clock (KMIP 1.4, 3.24), where it says so. */
async function describe(provider: KeyProvider, keyId: string): Promise<{ madeAt: Date | null; warnings: string[] }> {
  let description: KeyDescription | null
  try {
    description = await provider.describeKey(keyId)
  } catch (error) {
    return {
      madeAt: null,
      warnings: [`attributes are refused, so nothing is known of keys but their IDs: ${textOf(error)}`],
    }
  }
  const value = description?.attributes.find(({ name }) => name === 'Initial Date')?.value
  const madeAt = typeof value === 'string' ? new Date(value) : null
  return { madeAt: madeAt === null || Number.isNaN(madeAt.getTime()) ? null : madeAt, warnings: [] }
}

/** Says which key is left over, when one is. */
async function giveUp(provider: KeyProvider, keyId: string, watch: ProbeWatch): Promise<string[]> {
  try {
    await giveUpProbeKey(provider, keyId)
  } catch (error) {
    return [`key ${keyId}, made for a test, is left over: ${textOf(error)}`]
  }
  await watch.gone(keyId)
  return []
}

function textOf(error: unknown): string {
  if (error instanceof KmipClientError || error instanceof KeyProviderError) return error.message
  throw error
}
