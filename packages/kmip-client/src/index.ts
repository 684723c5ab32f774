export type { BatchOptions, BatchRequest, BatchResult } from './batch.ts'
export { KmipClient, type KmipClientOptions } from './kmip-client.ts'
export { KmipClientError, type KmipClientErrorCode, type Refusal } from './kmip-client-error.ts'
export { type ClientLimits, defaultClientLimits, type ServerOptions } from './server-options.ts'
