import { fetchServerCertificate, KmipClientError } from '@cryptvisor/kmip-client'

/** The certificate that a server shows, PEM and unproven, or why there is none. */
export type ShownCertificate = { readonly pem: string } | { readonly problem: string }

/** Asks a server for its certificate and for nothing else: for a person to compare, before it is trusted. */
export async function shownCertificate(host: string, port: number, timeoutMs: number): Promise<ShownCertificate> {
  try {
    return { pem: await fetchServerCertificate(host, port, timeoutMs) }
  } catch (error) {
    if (error instanceof KmipClientError) return { problem: error.message }
    throw error
  }
}
