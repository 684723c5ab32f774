import { KeyProviderStatus } from '@cryptvisor/control-plane-api'
import { readCertificate } from '@cryptvisor/pki'
import type { Kysely } from 'kysely'
import { Parse } from 'typebox/value'
import type { Schema } from '../../database/schema.ts'

/** A certificate between the control plane and a key server, with its end. */
export interface ProviderCertificate {
  readonly subject: string
  /** `client`: shown by the control plane; `server`: shown by the key server when it was probed last. */
  readonly kind: 'client' | 'server'
  /** Milliseconds since 1970. */
  readonly notAfter: number
  readonly provider: string
  /** As `HOST:PORT`; `null` for the client's. */
  readonly server: string | null
  /** Whether it renews itself: what the control plane made and its own CA signed. */
  readonly renewsItself: boolean
}

/** All certificates of key providers that are known, asking nobody. */
export async function certificatesOfProviders(database: Kysely<Schema>): Promise<ProviderCertificate[]> {
  const identities = await database
    .selectFrom('provider_identity')
    .selectAll()
    .where('state', '=', 'active')
    .orderBy('provider')
    .execute()
  const clients = identities.map(({ provider, certificate, way }): ProviderCertificate => {
    const { subject, notAfter } = readCertificate(certificate)
    return {
      subject,
      kind: 'client',
      notAfter: notAfter.getTime(),
      provider,
      server: null,
      renewsItself: way === 'root-ca',
    }
  })
  const rows = await database
    .selectFrom('provider_health')
    .select(['provider', 'servers'])
    .orderBy('provider')
    .execute()
  const servers = rows.flatMap(({ provider, servers }) =>
    Parse(KeyProviderStatus.properties.servers, JSON.parse(servers)).flatMap(
      ({ address, certificate }): ProviderCertificate[] =>
        certificate === null
          ? []
          : [
              {
                subject: certificate.subject,
                kind: 'server',
                notAfter: Date.parse(certificate.notAfter),
                provider,
                server: address,
                renewsItself: false,
              },
            ],
    ),
  )
  return [...clients, ...servers]
}
