import { compareVersions, type Version } from '@cryptvisor/ttlv'

export const v1_0: Version = { major: 1, minor: 0 }
export const v1_1: Version = { major: 1, minor: 1 }
export const v1_2: Version = { major: 1, minor: 2 }
export const v1_3: Version = { major: 1, minor: 3 }
export const v1_4: Version = { major: 1, minor: 4 }

/** The versions that are declared here, the newest first, as a server lists them (KMIP 1.4, 4.26). */
export const versions: readonly Version[] = [v1_4, v1_3, v1_2, v1_1, v1_0]

/** Whether messages of exactly this version are declared. */
export function isKnownVersion(version: Version): boolean {
  return versions.some((known) => compareVersions(known, version) === 0)
}

/** Writes a version as the standard does: `1.4`. */
export function formatVersion(version: Version): string {
  return `${version.major}.${version.minor}`
}

/** Which versions of the standard have something. */
export interface VersionRange {
  readonly since: Version
  /** The last one that has it; none where it is not gone. */
  readonly until?: Version
}

/** Whether `version` lies in `range`. */
export function isInVersion(range: VersionRange, version: Version): boolean {
  return (
    compareVersions(range.since, version) <= 0 &&
    (range.until === undefined || compareVersions(version, range.until) <= 0)
  )
}
