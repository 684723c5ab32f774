import { readFileSync } from 'node:fs'
import { type KeyProvider, StandardKeyProvider } from '@cryptvisor/key-provider'
import { KeyServerAdminClient } from '@cryptvisor/key-server-api'
import { RestClient } from '@cryptvisor/rest/client'
import { Secret } from '@cryptvisor/secret'
import type { LabDescription } from './description.ts'

/** A lab's key server by KMIP, as the control plane sees it, or as the lab's own client. Dispose of it. */
export function keyProviderOf({ keyServer }: LabDescription, identity: 'control-plane' | 'lab'): KeyProvider {
  const [certificate, key] =
    identity === 'lab'
      ? [keyServer.clientCert, keyServer.clientKey]
      : [keyServer.controlPlaneCert, keyServer.controlPlaneKey]
  return new StandardKeyProvider({
    id: 'lab',
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

/** A lab's key server by its admin API, as its administrator. Dispose of it. */
export function keyServerAdminOf({ keyServer }: LabDescription): { client: KeyServerAdminClient } & AsyncDisposable {
  const rest = new RestClient({
    url: keyServer.adminUrl,
    ca: readFileSync(keyServer.ca, 'utf8'),
    identity: {
      certificate: readFileSync(keyServer.adminCert, 'utf8'),
      privateKey: Secret.from(readFileSync(keyServer.adminKey)),
    },
  })
  return { client: new KeyServerAdminClient(rest), [Symbol.asyncDispose]: () => rest[Symbol.asyncDispose]() }
}
