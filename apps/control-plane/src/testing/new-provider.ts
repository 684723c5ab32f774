import type { AddKeyProvider, KeyProvider } from '@cryptvisor/control-plane-api'
import type { ControlPlaneClient } from '@cryptvisor/control-plane-api/client'
import { CertificateAuthority } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'

/** What a person has who adds a key provider. */
export interface NewProvider extends AddKeyProvider {
  readonly serverCa: string
  readonly clientCertificate: string
  /** PEM. */
  readonly clientKey: Uint8Array
}

/** A provider that nobody answers for, with certificates of its own. */
export async function unreachableProvider(name: string): Promise<NewProvider> {
  const { authority } = await CertificateAuthority.create('KMS CA', 10, () => new Date())
  using identity = await authority.issue({ commonName: 'control plane', usages: ['client'], validDays: 10 })
  return {
    name,
    servers: [{ host: '127.0.0.1', port: 1 }],
    serverCa: authority.certificate,
    clientCertificate: identity.certificate,
    clientKey: identity.privateKey.expose((bytes) => Uint8Array.from(bytes)),
  }
}

/** Sends the client key, as bytes; `key` is not changed. */
export async function sendClientKey(client: ControlPlaneClient, provider: string, key: Uint8Array): Promise<void> {
  using secret = Secret.from(Uint8Array.from(key))
  await client.uploadClientKey(provider, secret)
}

/** Sends the client key, then the provider. */
export async function addProvider(client: ControlPlaneClient, provider: NewProvider): Promise<KeyProvider> {
  const { clientKey, ...body } = provider
  await sendClientKey(client, body.name, clientKey)
  return client.addKeyProvider(body)
}
