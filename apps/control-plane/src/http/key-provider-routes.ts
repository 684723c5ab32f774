import {
  AddKeyProvider,
  ChangeKeyProvider,
  ClearDefaultProvider,
  clientKeySizeMax,
  KeyProvider,
  KeyProviderDetail,
  KeyProviderList,
  KeyProviderStatus,
  NameOrId,
  ProviderChoice,
  ProviderDefaults,
  ProviderName,
  SetDefaultProvider,
} from '@cryptvisor/control-plane-api'
import { readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { providerPath } from '../app/inventory/object-paths.ts'
import type { Platform } from '../app/platform.ts'
import { eachListed, theKeyProvider, theVm } from './objects.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'
import { secretSizeOf } from './secret-size.ts'

const ByVm = Type.Object({ vm: NameOrId })
const ByProvider = Type.Object({ name: ProviderName })

/** Key providers. No answer has the client's private key, and no JSON body. */
export function keyProviderRoutes({
  keyProviders,
  pendingClientKeys,
  providerHealth,
  providerDetails,
  defaultProviders,
}: Platform): Routes {
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
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
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
      method: 'GET',
      url: '/api/v1/key-providers/:name',
      config: { access: ['Cryptographer.ReadKeyServersInfo'], on: theKeyProvider },
      schema: {
        tags: ['key-providers'],
        summary: 'A key provider in full: servers, certificates, trust, and what the last probe found',
        params: ByName,
        response: { 200: KeyProviderDetail },
      },
      handler: ({ params }) => providerDetails.show(params.name),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/key-providers/:name',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Change what people call a key provider; its name stays, since it is part of every key’s',
        params: ByProvider,
        body: ChangeKeyProvider,
        response: { 200: KeyProvider },
      },
      handler: ({ params, body, principal }) => keyProviders.change(params.name, body, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-providers/:name/default',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary:
          'Ask this provider for keys from now on: in the system, or in an entity; refused while its keys cannot be had',
        params: ByName,
        body: SetDefaultProvider,
        response: { 200: KeyProvider },
      },
      handler: ({ params, body, principal }) => defaultProviders.set(params.name, body, principal),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/key-provider-defaults',
      config: { access: ['Cryptographer.ReadKeyServersInfo'] },
      schema: {
        tags: ['key-providers'],
        summary: 'The default key providers of the system and of entities',
        response: { 200: ProviderDefaults },
      },
      handler: () => defaultProviders.list(),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-provider-defaults/clear',
      config: { access: ['Cryptographer.ManageKeyServers'], rehearse: true },
      schema: {
        tags: ['key-providers'],
        summary: 'Leave an entity, or the system, without a default of its own',
        body: ClearDefaultProvider,
        response: { 204: Nothing },
      },
      handler: async ({ body, principal }, reply) => {
        await defaultProviders.clear(body.entity, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/vms/:vm/key-provider',
      config: { access: ['System.Read'], on: theVm },
      schema: {
        tags: ['key-providers'],
        summary: 'The key provider that would be asked for a new key of a VM, and why that one',
        params: ByVm,
        response: { 200: ProviderChoice },
      },
      handler: ({ params }) => defaultProviders.chooseForVm(params.vm),
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
