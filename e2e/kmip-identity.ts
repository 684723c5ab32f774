import { readFileSync } from 'node:fs'
import { type KeyProvider, StandardKeyProvider } from '@cryptvisor/key-provider'
import type { LabDescription } from '@cryptvisor/lab'
import { Secret } from '@cryptvisor/secret'

/** The lab's key server, seen as the control plane sees it, or as the lab's own client. */
export function kmipAs({ keyServer }: LabDescription, identity: 'control-plane' | 'lab'): KeyProvider {
  const [certificate, key] =
    identity === 'lab'
      ? [keyServer.clientCert, keyServer.clientKey]
      : [keyServer.controlPlaneCert, keyServer.controlPlaneKey]
  return new StandardKeyProvider({
    id: 'test',
    servers: [
      {
        name: 'key-server',
        host: keyServer.host,
        port: keyServer.port,
        caPem: readFileSync(keyServer.ca, 'utf8'),
        clientCertificatePem: readFileSync(certificate, 'utf8'),
        clientKey: Secret.from(readFileSync(key)),
      },
    ],
  })
}
