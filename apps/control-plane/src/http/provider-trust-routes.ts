import {
  ActivateClientTrust,
  AddProviderServer,
  ChangeProviderServer,
  ClientTrust,
  InspectedServer,
  InspectServer,
  KeyProvider,
  PrepareClientTrust,
  ProviderName,
  SignedClientCertificate,
  TrustServers,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import { ByName } from './parameters.ts'
import type { Routes } from './routes.ts'

const ByProvider = Type.Object({ name: ProviderName })
const ByServer = Type.Object({ name: ProviderName, server: Type.String({ minLength: 1, maxLength: 300 }) })
const tags = ['key-providers']
const access = ['Cryptographer.ManageKeyServers'] as const

/** The servers of key providers, and trust in both directions. */
export function providerTrustRoutes({ providerServers, clientTrusts }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/key-server-certificate',
      config: { access },
      schema: {
        tags,
        summary: 'The certificate that a KMIP server shows now, for a person to compare before it is trusted',
        querystring: InspectServer,
        response: { 200: InspectedServer },
      },
      handler: ({ query }) => providerServers.inspect(query),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/server-trust',
      config: { access, rehearse: true },
      schema: {
        tags,
        summary: 'Trust certificates of servers: by their authorities, or exactly by their fingerprints',
        params: ByProvider,
        body: TrustServers,
        response: { 200: KeyProvider },
      },
      handler: ({ params, body, principal }) => providerServers.trust(params.name, body, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/servers',
      config: { access, rehearse: true },
      schema: {
        tags,
        summary: 'Add a server that keeps the same keys',
        params: ByProvider,
        body: AddProviderServer,
        response: { 200: KeyProvider },
      },
      handler: ({ params, body, principal }) => providerServers.add(params.name, body, principal),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/key-providers/:name/servers/:server',
      config: { access, rehearse: true },
      schema: {
        tags,
        summary:
          'Change the address of a server (HOST:PORT), or when it is tried; the provider and its keys keep their names',
        params: ByServer,
        body: ChangeProviderServer,
        response: { 200: KeyProvider },
      },
      handler: ({ params, body, principal }) => providerServers.update(params.name, params.server, body, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/key-providers/:name/servers/:server',
      config: { access, rehearse: true },
      schema: {
        tags,
        summary: 'Forget a server (HOST:PORT); the last one stays',
        params: ByServer,
        response: { 200: KeyProvider },
      },
      handler: ({ params, principal }) => providerServers.remove(params.name, params.server, principal),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/key-providers/:name/client-trust',
      config: { access },
      schema: {
        tags,
        summary: 'The client certificates that the servers see or are to see, and what to do next',
        params: ByName,
        response: { 200: ClientTrust },
      },
      handler: ({ params }) => clientTrusts.show(params.name),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/client-trust',
      config: { access, rehearse: true },
      schema: {
        tags,
        summary:
          'Prepare a client certificate in one of four ways; it replaces the present one when the servers take it',
        params: ByProvider,
        body: PrepareClientTrust,
        response: { 200: ClientTrust },
      },
      handler: ({ params, body, principal }) => clientTrusts.prepare(params.name, body, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/client-trust/certificate',
      config: { access, rehearse: true },
      schema: {
        tags,
        summary: 'Take the certificate that the key server’s CA made of the request',
        params: ByProvider,
        body: SignedClientCertificate,
        response: { 200: ClientTrust },
      },
      handler: ({ params, body, principal }) => clientTrusts.takeSigned(params.name, body, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/client-trust/activate',
      config: { access, rehearse: true },
      schema: {
        tags,
        summary: 'Try the prepared client certificate, and show it to the servers when they take it',
        params: ByProvider,
        body: ActivateClientTrust,
        response: { 200: ClientTrust },
      },
      handler: ({ params, body, principal }) => clientTrusts.activate(params.name, body.force === true, principal),
    })
  }
}
