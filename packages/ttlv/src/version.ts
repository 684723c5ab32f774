/** A protocol version, as messages carry it in their header. */
export interface Version {
  readonly major: number
  readonly minor: number
}

/** Negative when `one` is older than `other`, 0 when they are the same, positive when it is newer. */
export function compareVersions(one: Version, other: Version): number {
  return one.major === other.major ? one.minor - other.minor : one.major - other.major
}
