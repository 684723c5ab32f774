/** What a bundle may take; what goes beyond is cut, and its manifest says so. */
export interface BundleLimits {
  /** Of one file in it. */
  readonly fileSizeMax: number
  /** Of all files together. */
  readonly sizeMax: number
  /** For one file, in milliseconds. */
  readonly fileTimeMs: number
}

export const defaultBundleLimits: BundleLimits = {
  fileSizeMax: 8_388_608,
  sizeMax: 67_108_864,
  fileTimeMs: 20_000,
}
