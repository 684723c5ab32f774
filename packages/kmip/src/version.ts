import type { VersionRange as AnyVersionRange, Version } from '@cryptvisor/ttlv'

export const v1_0: Version = { major: 1, minor: 0 }
export const v1_1: Version = { major: 1, minor: 1 }
export const v1_2: Version = { major: 1, minor: 2 }
export const v1_3: Version = { major: 1, minor: 3 }
export const v1_4: Version = { major: 1, minor: 4 }

/** The versions that are declared here, the newest first, as a server lists them (KMIP 1.4, 4.26). */
export const versions: readonly Version[] = [v1_4, v1_3, v1_2, v1_1, v1_0]

/** Writes a version as the standard does: `1.4`. */
export function formatVersion(version: Version): string {
  return `${version.major}.${version.minor}`
}

/** Which versions of the standard have something; the first one is always said. */
export interface VersionRange extends AnyVersionRange {
  readonly since: Version
}
