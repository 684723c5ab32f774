import { hostUri } from '@cryptvisor/host-agent-api'
import { type Identity, readCertificate } from '@cryptvisor/pki'
import { RestClient } from '@cryptvisor/rest'
import type { HostRow } from '../database/schema.ts'

/** Calls the agent of `host` at `host.url`: only whoever shows the host's own, current certificate is talked to. */
export function agentRest(host: HostRow, ca: string, identity: Identity): RestClient {
  return new RestClient({
    url: host.url,
    ca,
    identity,
    checkServer: (certificate) => {
      const { uris, serialNumber } = readCertificate(certificate.raw)
      const isHost = uris.length === 1 && uris[0] === hostUri(host.id) && serialNumber === host.certificate_serial
      return isHost ? undefined : `the certificate at ${host.url} is not the one of host ${host.name}`
    },
  })
}
