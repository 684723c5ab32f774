import {
  type CertificateView,
  type KeyProvider as KeyProviderView,
  type KmipServerAddress,
  KmipServerWish,
  type NativeProvider,
  type WrappingKey,
} from '@cryptvisor/control-plane-api'
import { readCertificate } from '@cryptvisor/pki'
import { Type } from 'typebox'
import { Parse } from 'typebox/value'
import type { ProviderHealthRow, ProviderIdentityRow } from '../database/provider-rows.ts'
import type { KeyProviderRow } from '../database/schema.ts'
import type { WrappingKeyRow } from '../database/wrapping-rows.ts'
import { timeTextOrNull } from './clock.ts'
import { notBackedUp } from './key-providers/native/native-state.ts'

const dayMs = 86_400_000

const Servers = Type.Array(KmipServerWish)

/** The servers of a provider's row. */
export const serversOf = (row: Pick<KeyProviderRow, 'servers'>): KmipServerWish[] =>
  Parse(Servers, JSON.parse(row.servers))

/** What people call a server. */
export const serverName = ({ host, port }: KmipServerAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** What lies beside a provider's row. */
export interface ProviderCompanions {
  /** Its client certificate that is in use; `null`: none yet. */
  readonly active: ProviderIdentityRow | null
  /** `null`: never probed. */
  readonly health: ProviderHealthRow | null
  /** `null`: it is a standard provider. */
  readonly native: NativeProvider | null
  /** `null`: each VM has a KEK of its own there. */
  readonly wrapping: WrappingKeyRow | null
}

/** What users see of a provider; its client key is not in it. */
export function toView(row: KeyProviderRow, { active, health, native, wrapping }: ProviderCompanions): KeyProviderView {
  // Reads the first certificate, which is the client's own.
  const certificate = active === null ? null : readCertificate(active.certificate)
  return {
    name: row.name,
    displayName: row.display_name,
    kind: native === null ? 'standard' : 'native',
    isDefault: row.is_default === 1,
    servers: serversOf(row).map(({ host, port, fingerprint256 }) => ({
      host,
      port,
      fingerprint256: fingerprint256 ?? null,
    })),
    missing: missingOf(row, active, native),
    health: health?.health ?? null,
    clientCertificateExpiresAt: timeTextOrNull(certificate?.notAfter.getTime() ?? null),
    clientCertificateFingerprint256: certificate?.fingerprint256 ?? null,
    native,
    wrapping: wrapping === null ? null : wrappingView(wrapping),
  }
}

function wrappingView({ key_id, since, rotation_ms, due_at }: WrappingKeyRow): WrappingKey {
  return {
    keyId: key_id,
    since: timeTextOrNull(since),
    rotationDays: rotation_ms === null ? null : rotation_ms / dayMs,
    nextRotationAt: timeTextOrNull(due_at),
  }
}

/** What is missing before keys can be had of a provider, and what to do; `null`: nothing. */
export function missingOf(
  row: Pick<KeyProviderRow, 'name' | 'servers' | 'server_ca'>,
  active: Pick<ProviderIdentityRow, 'certificate'> | null,
  native: NativeProvider | null,
): string | null {
  if (native !== null) return native.isBackedUp ? null : notBackedUp(row.name)
  const isTrusted = row.server_ca !== '' || serversOf(row).some(({ fingerprint256 }) => fingerprint256 !== undefined)
  const parts = [
    ...(isTrusted ? [] : [`its servers are not trusted yet: «key-provider trust server ${row.name}»`]),
    ...(active !== null
      ? []
      : [`it has no client certificate yet: «key-provider trust --help» shows the four ways to get one`]),
  ]
  return parts.length === 0 ? null : parts.join('; ')
}

/** What a certificate says of itself, from PEM; of several the first. Throws `PkiError`. */
export function certificateView(pem: string): CertificateView {
  const { subject, issuer, notBefore, notAfter, fingerprint256 } = readCertificate(pem)
  return { subject, issuer, notBefore: notBefore.toISOString(), notAfter: notAfter.toISOString(), fingerprint256 }
}
