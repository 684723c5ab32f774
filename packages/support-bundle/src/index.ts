export { type BundleLimits, defaultBundleLimits } from './bundle-limits.ts'
export { type BundlePart, documentPart, type Lines } from './bundle-part.ts'
export { hostKeyPairOf } from './host-key-pair.ts'
export { LogRing } from './log-ring.ts'
export { openSealed } from './open-sealed.ts'
export { Redactor } from './redactor.ts'
export {
  bundleKeySizeBytes,
  openBundleKey,
  parseSealedHeader,
  SealedBundleHeader,
  sealBundle,
  sealedHeaderSizeMax,
} from './sealed-bundle.ts'
export { SupportBundleError, type SupportBundleErrorCode } from './support-bundle-error.ts'
export { blockBytes, paddingBytes, parseTarHeader, tarHeader } from './tar-header.ts'
export { type BundleSubject, manifestName, writeBundle } from './write-bundle.ts'
