import { formatVersion } from '@cryptvisor/kmip'
import { type ClientLimits, type KmipClient, KmipClientError } from '@cryptvisor/kmip-client'
import { wipe } from '@cryptvisor/ttlv'
import type { Environment } from './failover.ts'
import { keyMaterialOf } from './key-material.ts'
import { KeyProviderError } from './key-provider-error.ts'
import { createClient, type KmipServer } from './kmip-server.ts'
import type { ProbeKey } from './probe.ts'
import type { ServerStatus } from './provider-status.ts'
import { forProvider } from './translation.ts'

/** Asks a server who it is, on a connection of its own, and for a key that one of the provider's servers made just now. */
export async function probeServer(
  providerId: string,
  server: KmipServer,
  key: ProbeKey | null,
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
    certificatePem: null,
  }
  try {
    await using client = createClient(providerId, server, limits)
    const protocolVersion = formatVersion(await client.negotiate())
    const start = environment.now()
    const vendorIdentification = await vendorOf(client)
    const roundTripMs = Math.round((environment.now() - start) * 10) / 10
    const problem = key === null ? null : await compare(client, key)
    return {
      ...unknown,
      health: problem === null ? 'green' : 'yellow',
      reason: problem ?? (key === null ? 'answers' : 'answers, and gives the key of the probe'),
      isReachable: true,
      isTrusted: true,
      protocolVersion,
      protocolVersions: await versionsOf(client, protocolVersion),
      vendorIdentification,
      roundTripMs,
      certificatePem: client.serverCertificate,
    }
  } catch (error) {
    if (!(error instanceof KmipClientError || error instanceof KeyProviderError)) throw error
    const code = error instanceof KmipClientError ? error.code : 'invalid-options'
    return {
      ...unknown,
      health: 'red',
      reason: forProvider(error.message, providerId),
      isReachable: code !== 'connect-failed' && code !== 'timeout' && code !== 'invalid-options',
      isTrusted: code === 'closed' || code === 'protocol' || code === 'operation-failed',
    }
  }
}

/** `null` from a server that does not say, or knows no Query. */
async function vendorOf(client: KmipClient): Promise<string | null> {
  const answer = await client.query({ queryFunction: ['QueryServerInformation'] }).catch(unlessRefused)
  return answer?.vendorIdentification ?? null
}

/** A server of 1.0 knows no Discover Versions, and has that one version. */
async function versionsOf(client: KmipClient, spoken: string): Promise<string[]> {
  if (spoken === '1.0') return [spoken]
  const answer = await client.discoverVersions({ protocolVersion: [] }).catch(unlessRefused)
  return answer?.protocolVersion.map(formatVersion) ?? [spoken]
}

/** What is wrong about the key that this server gives; `null`: nothing. */
async function compare(client: KmipClient, { keyId, key }: ProbeKey): Promise<string | null> {
  const advice = 'see whether the servers of this provider share their keys'
  try {
    const answer = await client.get({ uniqueIdentifier: keyId })
    try {
      const material = keyMaterialOf(answer)
      if (typeof material === 'string') return `gives the key of the probe, but that ${material}`
      return material.equal(key) ? null : `gives another key under the ID of the probe’s: ${advice}`
    } finally {
      wipe(answer)
    }
  } catch (error) {
    if (!(error instanceof KmipClientError) || error.code !== 'operation-failed') throw error
    return `does not give a key that was made just now (${error.message}): ${advice}`
  }
}

function unlessRefused(error: unknown): null {
  if (error instanceof KmipClientError && error.code === 'operation-failed') return null
  throw error
}
