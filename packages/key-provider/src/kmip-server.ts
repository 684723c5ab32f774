import { type ClientLimits, KmipClient, KmipClientError, type ServerOptions } from '@cryptvisor/kmip-client'
import { KeyProviderError } from './key-provider-error.ts'

/** A KMIP server of a provider. */
export interface KmipServer extends ServerOptions {
  /** What people call it. */
  readonly name: string
}

/** Connects to nobody yet. Throws a KeyProviderError `not-trusted` when certificates or key cannot be read. */
export function createClient(providerId: string, server: KmipServer, limits: Partial<ClientLimits>): KmipClient {
  try {
    return new KmipClient({ ...server, limits })
  } catch (cause) {
    if (!(cause instanceof KmipClientError)) throw cause
    throw new KeyProviderError(
      'not-trusted',
      { providerId, server: server.name },
      `key provider ${providerId}, server ${server.name}: ${cause.message}`,
      { cause },
    )
  }
}
