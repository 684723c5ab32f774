import type { Server } from 'node:https'

/** What a server shows of itself, and whom it lets in. */
export interface TlsIdentity {
  /** The server's certificate and those above it, PEM. */
  readonly certificate: string
  /** Its private key, PEM; the TLS library keeps it. */
  readonly privateKey: string | Uint8Array
  /** Whoever shows a certificate under one of these is let in; without it no client certificate is asked for. */
  readonly clientCa?: string
  /**
   * `optional` lets in those without a certificate too, or with one that is not good: each route then has to ask
   * `goodClientCertificate`. `required` when left out.
   */
  readonly clientCertificate?: 'required' | 'optional'
}

/** Node's options for a server that speaks TLS 1.3 as `tls`. */
export function tlsOptions(tls: TlsIdentity) {
  return {
    cert: tls.certificate,
    key: typeof tls.privateKey === 'string' ? tls.privateKey : Buffer.from(tls.privateKey),
    minVersion: 'TLSv1.3' as const,
    ...(tls.clientCa === undefined
      ? {}
      : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: tls.clientCertificate !== 'optional' }),
  }
}

/** Shows `tls` to whoever connects from now on; connections that are there stay. Whom it lets in cannot change. */
export function renewIdentity({ server }: { readonly server: Server }, tls: TlsIdentity): void {
  server.setSecureContext(tlsOptions(tls))
}
