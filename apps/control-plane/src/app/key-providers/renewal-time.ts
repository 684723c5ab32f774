import { readCertificate } from '@cryptvisor/pki'
import type { ProviderIdentityRow } from '../../database/provider-rows.ts'

/** When a client certificate has two thirds of its life behind it; `null` for one that cannot be made anew here. */
export function renewalTime(identity: Pick<ProviderIdentityRow, 'way' | 'certificate'>): number | null {
  if (identity.way === 'upload' || identity.certificate === '') return null
  const { notBefore, notAfter } = readCertificate(identity.certificate)
  return notBefore.getTime() + ((notAfter.getTime() - notBefore.getTime()) * 2) / 3
}
