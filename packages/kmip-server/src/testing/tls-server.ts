import type { TestContext } from 'node:test'
import { versions } from '@cryptvisor/kmip'
import { CertificateAuthority, type Identity, readCertificate } from '@cryptvisor/pki'
import { Secret } from '@cryptvisor/secret'
import { KmipServer, MessageProcessor, type ServerEvent, type ServerLimits } from '../index.ts'
import { MemoryObjectStore } from './memory-object-store.ts'

/** A server on a real port of loopback, and certificates for its clients. */
export interface TlsServer {
  readonly server: KmipServer
  readonly store: MemoryObjectStore
  readonly events: ServerEvent[]
  readonly ca: string
  /** A certificate that the server knows, of a client of that name. */
  readonly client: (name: string) => Promise<Identity>
  /** A certificate under the server's CA that it has not on record. */
  readonly stranger: (name: string) => Promise<Identity>
}

/** Starts a server that is closed when the test is over. */
export async function startTlsServer(context: TestContext, limits: Partial<ServerLimits> = {}): Promise<TlsServer> {
  const now = () => new Date()
  const { authority, privateKey } = await CertificateAuthority.create('Test CA', 10, now)
  using _authorityKey = privateKey
  using identity = await authority.issue({
    commonName: 'key server',
    usages: ['server'],
    hosts: ['127.0.0.1', 'localhost'],
    validDays: 1,
  })
  const known = new Map<string, string>()
  const events: ServerEvent[] = []
  const store = new MemoryObjectStore()
  let lastId = 0
  const processor = new MessageProcessor(
    store,
    {
      vendorIdentification: 'Cryptvisor test',
      versions,
      now,
      random: (sizeBytes) => Secret.random(sizeBytes),
      newId: () => `id-${String(++lastId).padStart(6, '0')}`,
    },
    (event) => events.push(event),
    limits,
  )
  const server = await KmipServer.listen({
    host: '127.0.0.1',
    port: 0,
    identity: { certificate: identity.certificate, privateKey: identity.privateKey, clientCa: authority.certificate },
    identify: async (certificate, address) => {
      const certificateFingerprint = readCertificate(certificate).fingerprint256
      const name = known.get(certificateFingerprint)
      return name === undefined ? null : { name, certificateFingerprint, address }
    },
    processor,
    emit: (event) => events.push(event),
    limits,
  })
  context.after(() => server.close())
  const stranger = (name: string) => authority.issue({ commonName: name, usages: ['client'], validDays: 1 })
  return {
    server,
    store,
    events,
    ca: authority.certificate,
    stranger,
    client: async (name) => {
      const issued = await stranger(name)
      known.set(readCertificate(issued.certificate).fingerprint256, name)
      return issued
    },
  }
}
