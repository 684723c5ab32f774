import {
  type KeyProviderStatus,
  type KeyProvider as KeyProviderView,
  KmipServerAddress,
} from '@cryptvisor/control-plane-api'
import type { ProviderStatus } from '@cryptvisor/key-provider'
import { readCertificate } from '@cryptvisor/pki'
import { Type } from 'typebox'
import { Parse } from 'typebox/value'
import type { KeyProviderRow } from '../database/schema.ts'

const Servers = Type.Array(KmipServerAddress)

/** The servers of a provider's row. */
export const serversOf = (row: Pick<KeyProviderRow, 'servers'>): KmipServerAddress[] =>
  Parse(Servers, JSON.parse(row.servers))

/** What people call a server. */
export const serverName = ({ host, port }: KmipServerAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** What users see of a provider; its client key is not in it. */
export function toView(row: KeyProviderRow): KeyProviderView {
  // Reads the first certificate, which is the client's own.
  const certificate = readCertificate(row.client_certificate)
  return {
    name: row.name,
    kind: 'standard',
    isDefault: row.is_default === 1,
    servers: serversOf(row),
    clientCertificateExpiresAt: certificate.notAfter.toISOString(),
    clientCertificateFingerprint256: certificate.fingerprint256,
  }
}

/** What users see of a probe. */
export function toStatus(name: string, status: ProviderStatus): KeyProviderStatus {
  return {
    name,
    health: status.health,
    text: status.reason,
    servers: status.servers.map((server) => ({
      address: server.name,
      health: server.health,
      text: server.reason,
      protocolVersion: server.protocolVersion,
      vendor: server.vendorIdentification,
      roundTripMs: server.roundTripMs,
    })),
  }
}
