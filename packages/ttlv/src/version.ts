/** A protocol version, as messages carry it in their header. */
export interface Version {
  readonly major: number
  readonly minor: number
}

/** Which versions have something. */
export interface VersionRange {
  /** The first one that has it; where it is left out, all before `until`. */
  readonly since?: Version
  /** The last one that has it; none where it is not gone. */
  readonly until?: Version
}

/** Whether `version` lies in `range`. */
export function isInVersion(range: VersionRange, version: Version): boolean {
  return (
    (range.since === undefined || compareVersions(range.since, version) <= 0) &&
    (range.until === undefined || compareVersions(version, range.until) <= 0)
  )
}

/** Negative when `one` is older than `other`, 0 when they are the same, positive when it is newer. */
export function compareVersions(one: Version, other: Version): number {
  return one.major === other.major ? one.minor - other.minor : one.major - other.major
}
