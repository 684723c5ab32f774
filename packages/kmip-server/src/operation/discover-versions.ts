import type { DiscoverVersionsRequest, DiscoverVersionsResponse } from '@cryptvisor/kmip'
import { compareVersions } from '@cryptvisor/ttlv'
import type { Handler } from './operation-context.ts'

/** KMIP 1.4, 4.26: the versions that we speak, the newest first, among those of the client where it gives some. */
export const discoverVersions: Handler<DiscoverVersionsRequest, DiscoverVersionsResponse> = async (
  request,
  context,
) => {
  const { versions } = context.message.settings
  const wanted = request.protocolVersion
  const common = versions.filter((own) => wanted.some((theirs) => compareVersions(own, theirs) === 0))
  return { protocolVersion: wanted.length === 0 ? versions : common }
}
