import {
  AddKeyProvider,
  clientKeySizeMax,
  KeyProvider,
  KeyProviderList,
  KeyProviderStatus,
  ProviderName,
} from '@cryptvisor/control-plane-api'
import { readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { providerPath } from '../app/inventory/object-paths.ts'
import type { Platform } from '../app/platform.ts'
import { eachListed } from './objects.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'
import { secretSizeOf } from './secret-size.ts'

const ByProvider = Type.Object({ name: ProviderName })

/** Key providers. No answer has the client's private key, and no JSON body. */
export function keyProviderRoutes({ keyProviders, pendingClientKeys, providerHealth }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/key-providers',
      config: { access: ['Cryptographer.ReadKeyServersInfo'], on: eachListed },
      schema: { tags: ['key-providers'], summary: 'All key providers', response: { 200: KeyProviderList } },
      handler: async ({ principal }) => ({
        providers: (await keyProviders.list()).filter(({ name }) =>
          principal.can('Cryptographer.ReadKeyServersInfo', providerPath(name)),
        ),
      }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers',
      config: { access: ['Cryptographer.ManageKeyServers'] },
      schema: {
        tags: ['key-providers'],
        summary: 'Add a key provider whose client key was sent before; the first one becomes the default',
        body: AddKeyProvider,
        response: { 201: KeyProvider },
      },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await keyProviders.add(body, principal)),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/key-providers/:name/client-key',
      config: { access: ['Cryptographer.ManageKeyServers'], idempotencyKey: false },
      schema: {
        tags: ['key-providers'],
        summary: 'Send the private key (PEM) of a key provider that is to be added; it waits, sealed, for an hour',
        params: ByProvider,
        // Bytes that go straight into a `Secret`: nothing else looks at them.
        body: { content: { 'application/octet-stream': { schema: Type.Unsafe<unknown>({}) } } },
        response: { 204: Nothing },
      },
      handler: async ({ params, body, headers }, reply) => {
        using clientKey = await readSecret(
          body,
          secretSizeOf(headers['content-length'], clientKeySizeMax, 'a private key in PEM'),
        )
        await pendingClientKeys.put(params.name, clientKey)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/default',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Ask this provider for keys from now on',
        params: ByName,
        response: { 200: KeyProvider },
      },
      handler: ({ params, principal }) => keyProviders.setDefault(params.name, principal),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/key-providers/:name/status',
      config: { access: ['Cryptographer.ManageKeyServers'] },
      schema: {
        tags: ['key-providers'],
        summary: 'Make, read back and destroy a key at each server',
        params: ByName,
        response: { 200: KeyProviderStatus },
      },
      handler: ({ params }) => providerHealth.probe(params.name),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/key-providers/:name',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Remove a key provider whose keys nothing uses',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await keyProviders.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })
  }
}
