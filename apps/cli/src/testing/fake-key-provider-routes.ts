import {
  ActivateClientTrust,
  AddKeyProvider,
  AddProviderServer,
  type CertificateView,
  ChangeKeyProvider,
  ChangeProviderServer,
  ClearDefaultProvider,
  ClientTrust,
  InspectedServer,
  InspectServer,
  KeyProvider,
  KeyProviderDetail,
  KeyProviderList,
  KeyProviderStatus,
  PrepareClientTrust,
  ProviderChoice,
  ProviderDefaults,
  SetDefaultProvider,
  SignedClientCertificate,
  TrustServers,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedProvider, cannedTime } from './canned.ts'

const api = '/api/v1/key-providers'

const cannedCertificate: CertificateView = {
  subject: 'CN=kms-1',
  issuer: 'CN=KMS CA',
  notBefore: cannedTime,
  notAfter: '2126-01-01T00:00:00.000Z',
  fingerprint256: 'cd'.repeat(32),
}

const cannedTrust: ClientTrust = {
  active: {
    way: 'upload',
    state: 'active',
    certificate: { ...cannedCertificate, subject: 'CN=control plane' },
    certificatePem: '-----BEGIN CERTIFICATE-----\nactive\n-----END CERTIFICATE-----\n',
    csrPem: null,
    createdAt: cannedTime,
    renewAt: null,
  },
  prepared: {
    way: 'csr',
    state: 'prepared',
    certificate: null,
    certificatePem: null,
    csrPem: '-----BEGIN CERTIFICATE REQUEST-----\nprepared\n-----END CERTIFICATE REQUEST-----\n',
    createdAt: cannedTime,
    renewAt: null,
  },
  rootCaPem: '-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n',
  next: 'have the key server’s CA sign the request',
}

const cannedStatus = (name: string): KeyProviderStatus => ({
  name,
  health: 'yellow',
  text: 'one server does not answer',
  since: cannedTime,
  probedAt: cannedTime,
  servers: [
    {
      address: 'kms-1:5696',
      health: 'green',
      text: 'made, read and destroyed a key',
      protocolVersion: '1.4',
      vendor: 'Cryptvisor',
      roundTripMs: 3.2,
      certificate: cannedCertificate,
    },
  ],
})

/** The routes of these have this parameter. */
const nameIn = (request: { readonly params: unknown }) => (request.params as { name: string }).name

const provider = { response: { 200: KeyProvider } }
const trust = { response: { 200: ClientTrust } }

/** Key providers of a fake control plane. */
export function addFakeProviderRoutes(server: RestServer): void {
  server.get(api, { schema: { response: { 200: KeyProviderList } } }, async () => ({
    providers: [cannedProvider, { ...cannedProvider, name: 'other', isDefault: false }],
  }))
  server.post(api, { schema: { body: AddKeyProvider, response: { 201: KeyProvider } } }, async (request, reply) => {
    const { name, servers, makeDefault } = request.body
    const shown = servers.map((one) => ({ ...one, fingerprint256: one.fingerprint256 ?? null }))
    return reply.code(201).send({ ...cannedProvider, name, servers: shown, isDefault: makeDefault === true })
  })
  server.get(
    '/api/v1/key-server-certificate',
    { schema: { querystring: InspectServer, response: { 200: InspectedServer } } },
    async ({ query }) => {
      const ended = query.host === 'ended-kms' ? { notAfter: '2020-01-01T00:00:00.000Z' } : {}
      return { ...query, certificate: { ...cannedCertificate, ...ended }, problem: null }
    },
  )
  server.get(`${api}/:name`, { schema: { response: { 200: KeyProviderDetail } } }, async (request) => ({
    ...cannedProvider,
    name: nameIn(request),
    serverCa: [cannedCertificate],
    status: cannedStatus(nameIn(request)),
    clientTrust: cannedTrust,
    defaultOf: [{ kind: 'cluster' as const, name: 'main' }],
  }))
  server.patch(`${api}/:name`, { schema: { body: ChangeKeyProvider, ...provider } }, async (request) => ({
    ...cannedProvider,
    name: nameIn(request),
    displayName: request.body.displayName,
  }))
  const changed = async (request: { readonly params: unknown }) => ({ ...cannedProvider, name: nameIn(request) })
  server.post(`${api}/:name/default`, { schema: { body: SetDefaultProvider, ...provider } }, changed)
  server.post(`${api}/:name/server-trust`, { schema: { body: TrustServers, ...provider } }, changed)
  server.post(`${api}/:name/servers`, { schema: { body: AddProviderServer, ...provider } }, changed)
  server.patch(`${api}/:name/servers/:server`, { schema: { body: ChangeProviderServer, ...provider } }, changed)
  server.delete(`${api}/:name/servers/:server`, { schema: provider }, changed)
  server.get(`${api}/:name/status`, { schema: { response: { 200: KeyProviderStatus } } }, async (request) =>
    cannedStatus(nameIn(request)),
  )
  const trusts = async () => cannedTrust
  server.get(`${api}/:name/client-trust`, { schema: trust }, trusts)
  server.post(`${api}/:name/client-trust`, { schema: { body: PrepareClientTrust, ...trust } }, trusts)
  server.post(`${api}/:name/client-trust/certificate`, { schema: { body: SignedClientCertificate, ...trust } }, trusts)
  server.post(`${api}/:name/client-trust/activate`, { schema: { body: ActivateClientTrust, ...trust } }, trusts)
  server.get('/api/v1/key-provider-defaults', { schema: { response: { 200: ProviderDefaults } } }, async () => ({
    system: 'kms',
    entities: [{ kind: 'cluster' as const, name: 'main', provider: 'other' }],
  }))
  server.post(
    '/api/v1/key-provider-defaults/clear',
    { schema: { body: ClearDefaultProvider } },
    async (_request, reply) => reply.code(204).send(null),
  )
  server.get('/api/v1/vms/:name/key-provider', { schema: { response: { 200: ProviderChoice } } }, async () => ({
    provider: 'other',
    from: 'cluster' as const,
    text: 'the default of cluster main',
  }))
}
