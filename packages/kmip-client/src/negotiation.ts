import { formatVersion, v1_0, v1_1, versions } from '@cryptvisor/kmip'
import { compareVersions, type Version } from '@cryptvisor/ttlv'
import { KmipClientError } from './kmip-client-error.ts'

/** Asks for the versions of a server in a message of the given version (KMIP 1.4, 4.26). */
export type Discover = (version: Version) => Promise<readonly Version[]>

/**
 * Finds the newest version that both sides have. A server that refuses a message of one version is asked in the next
 * older one; one that knows no Discover Versions, or refuses all, speaks 1.0 (the operation came with 1.1). Throws what
 * `discover` throws, and a KmipClientError `protocol` when the sides have no version in common. A server that ends each
 * connection without a word is `tls-failed`: with TLS 1.3 that is how some refuse our certificate.
 */
export async function negotiate(discover: Discover): Promise<Version> {
  let ended: KmipClientError | null = null
  let wasAnswered = false
  for (const asked of versions.filter((version) => compareVersions(version, v1_1) >= 0)) {
    try {
      return newestCommon(await discover(asked))
    } catch (error) {
      if (!(error instanceof KmipClientError)) throw error
      if (error.resultReason === 'OperationNotSupported') return v1_0
      // Some servers answer a version that they do not know by ending the connection.
      if (error.code === 'closed') ended = error
      else if (error.resultReason === 'InvalidMessage') wasAnswered = true
      else throw error
    }
  }
  if (wasAnswered || ended === null) return v1_0
  throw new KmipClientError(
    'tls-failed',
    `${ended.message} after the handshake, each time; see whether the server trusts our client certificate, and whether that has expired`,
    { cause: ended },
  )
}

function newestCommon(theirs: readonly Version[]): Version {
  const common = versions.find((version) => theirs.some((other) => compareVersions(version, other) === 0))
  if (common !== undefined) return common
  throw new KmipClientError(
    'protocol',
    `the server has the KMIP versions ${theirs.map(formatVersion).join(', ') || '(none)'}, we have ${versions.map(formatVersion).join(', ')}`,
  )
}
