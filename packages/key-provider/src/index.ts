export {
  defaultFailoverLimits,
  type Environment,
  type FailoverLimits,
  systemEnvironment,
} from './failover.ts'
export { type KeyDescription, type KeyProvider, listLimitMax, type RevocationCause } from './key-provider.ts'
export { type ErrorSubject, KeyProviderError, type KeyProviderErrorCode } from './key-provider-error.ts'
export type { KmipServer } from './kmip-server.ts'
export { labelsMax } from './labels.ts'
export { derivationKeySizeBytes } from './native/native-key-derivation.ts'
export { NativeKeyProvider, type NativeKeyProviderOptions } from './native/native-key-provider.ts'
export type { CurrentGeneration, NativeKey, NativeKeyChange, NativeKeyStore } from './native/native-key-store.ts'
export type { ProbeWatch } from './probe.ts'
export { giveUpProbeKey } from './probe-key.ts'
export type { Health, ProviderStatus, ServerStatus } from './provider-status.ts'
export { type ShownCertificate, shownCertificate } from './shown-certificate.ts'
export { StandardKeyProvider, type StandardKeyProviderOptions } from './standard-key-provider.ts'
