import { createRequest, createSelfSignedClient } from '@cryptvisor/pki'
import type { Secret } from '@cryptvisor/secret'
import type { ProviderIdentityRow } from '../../database/provider-rows.ts'
import type { Certificates } from '../certificates.ts'
import { orInvalid } from './client-certificate.ts'

/** The key server has to be told of a new one by hand, so it lasts. */
const selfSignedValidDays = 730

/** What key servers know us by where nobody says otherwise; servers that go by the common name see it. */
export const defaultCommonName = 'Cryptvisor control plane'

/** A client key with what is known of its certificate; the key is the caller's. */
export interface NewIdentity {
  readonly certificate: string
  readonly csr: string | null
  readonly clientKey: Secret
}

/** Makes a client key here, in one of the three ways in which it is made here. Throws `invalid` for the common name. */
export function makeIdentity(
  way: Exclude<ProviderIdentityRow['way'], 'upload'>,
  commonName: string,
  certificates: Certificates,
  now: Date,
): Promise<NewIdentity> {
  return orInvalid('commonName', async () => {
    switch (way) {
      case 'root-ca': {
        const { certificate, privateKey } = await certificates.issueKmipClient(commonName)
        return { certificate, csr: null, clientKey: privateKey }
      }
      case 'self-signed': {
        const { certificate, privateKey } = await createSelfSignedClient(commonName, selfSignedValidDays, now)
        return { certificate, csr: null, clientKey: privateKey }
      }
      case 'csr': {
        const { csr, privateKey } = await createRequest(commonName)
        return { certificate: '', csr, clientKey: privateKey }
      }
    }
  })
}
