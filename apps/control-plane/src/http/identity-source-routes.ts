import {
  BeginDeviceLogin,
  BeginOidcLogin,
  ChangeIdentitySource,
  CreateIdentitySource,
  DeviceLoginBegun,
  DeviceLoginState,
  FinishDeviceLogin,
  FinishOidcLogin,
  GroupMapping,
  IdentityRecheck,
  IdentitySource,
  IdentitySourceList,
  IdentitySourceTest,
  identitySourceSecretSizeMax,
  LoginAnswer,
  LoginSourceList,
  OidcLoginBegun,
  TestIdentitySource,
} from '@cryptvisor/control-plane-api'
import { readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'
import { secretSizeOf } from './secret-size.ts'

/** Where users come from that are not our own, and logins by these. */
export function identitySourceRoutes({
  identitySources,
  groupMappings,
  oidcLogins,
  deviceLogins,
  directories,
  sourceTrials,
}: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/login/sources',
      config: { access: 'public' },
      schema: { tags: ['access'], summary: 'Identity sources to log in by', response: { 200: LoginSourceList } },
      handler: async () => ({ sources: await identitySources.forLogin() }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/login/oidc',
      config: { access: 'public', idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Begin a login by OpenID Connect; a browser has to open what the answer names',
        body: BeginOidcLogin,
        response: { 200: OidcLoginBegun },
      },
      handler: ({ body, ip }) => oidcLogins.begin(body, ip),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/login/oidc/finish',
      config: { access: 'public', idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Finish a login by OpenID Connect with what the provider sent the browser back with',
        body: FinishOidcLogin,
        response: { 200: LoginAnswer },
      },
      handler: ({ body, ip }) => oidcLogins.finish(body, ip),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/login/device',
      config: { access: 'public', idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Begin a login at a terminal without a browser (RFC 8628)',
        body: BeginDeviceLogin,
        response: { 200: DeviceLoginBegun },
      },
      handler: ({ body, ip }) => deviceLogins.begin(body, ip),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/login/device/finish',
      config: { access: 'public', idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Finish a login at a terminal, once the user has logged in elsewhere',
        body: FinishDeviceLogin,
        response: { 200: DeviceLoginState },
      },
      handler: ({ body, ip }) => deviceLogins.finish(body, ip),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/identity-sources',
      config: { access: ['VcIdentityProviders.Read'] },
      schema: { tags: ['access'], summary: 'Identity sources', response: { 200: IdentitySourceList } },
      handler: async () => ({ sources: await identitySources.list() }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/identity-sources/:name',
      config: { access: ['VcIdentityProviders.Read'] },
      schema: {
        tags: ['access'],
        summary: 'An identity source with its group mappings',
        params: ByName,
        response: { 200: IdentitySource },
      },
      handler: ({ params }) => identitySources.show(params.name),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/identity-sources',
      config: { access: ['VcIdentityProviders.Manage'], rehearse: true },
      schema: {
        tags: ['access'],
        summary:
          'Let users of an OpenID Connect provider or an LDAP directory log in; its client secret or bind password is sent next',
        body: CreateIdentitySource,
        response: { 201: IdentitySource },
      },
      handler: async ({ body, principal }, reply) =>
        reply.code(201).send(await identitySources.create(body, principal)),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/identity-sources/:name',
      config: { access: ['VcIdentityProviders.Manage'], rehearse: true },
      schema: {
        tags: ['access'],
        summary:
          'Switch an identity source off or on, or give it other settings: then its secret is gone, and sessions end',
        params: ByName,
        body: ChangeIdentitySource,
        response: { 200: IdentitySource },
      },
      handler: ({ params, body, principal }) => identitySources.change(params.name, body, principal),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/identity-sources/:name/secret',
      config: { access: ['VcIdentityProviders.Manage'], idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Send the client secret or bind password of an identity source',
        params: ByName,
        // Bytes that go straight into a `Secret`: nothing else looks at them.
        body: { content: { 'application/octet-stream': { schema: Type.Unsafe<unknown>({}) } } },
        response: { 204: Nothing },
      },
      handler: async ({ params, body, headers, principal }, reply) => {
        const sizeBytes = secretSizeOf(headers['content-length'], identitySourceSecretSizeMax, 'a secret')
        using secret = await readSecret(body, sizeBytes)
        await identitySources.setSecret(params.name, secret, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/identity-sources/:name',
      config: { access: ['VcIdentityProviders.Manage'], rehearse: true },
      schema: {
        tags: ['access'],
        summary: 'Remove an identity source with its users, their permissions, sessions and API tokens',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await identitySources.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/identity-sources/:name/test',
      config: { access: ['VcIdentityProviders.Manage'] },
      schema: {
        tags: ['access'],
        summary: 'Try a provider out, or every server of a directory, and see what the directory says of a user',
        params: ByName,
        body: TestIdentitySource,
        response: { 200: IdentitySourceTest },
      },
      handler: ({ params, body }) => sourceTrials.test(params.name, body.user),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/identity-sources/:name/recheck',
      config: { access: ['VcIdentityProviders.Manage'] },
      schema: {
        tags: ['access'],
        summary: 'Ask a directory now about its users who are logged in or have API tokens',
        params: ByName,
        body: Type.Object({}, { additionalProperties: false }),
        response: { 200: IdentityRecheck },
      },
      handler: ({ params }) => directories.recheck.recheck(params.name),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/identity-sources/:name/groups',
      config: { access: ['VcIdentityProviders.Manage'], rehearse: true },
      schema: {
        tags: ['access'],
        summary: 'Have a group of an identity source be in a group of ours, from the next login of each user on',
        params: ByName,
        body: GroupMapping,
        response: { 204: Nothing },
      },
      handler: async ({ params, body, principal }, reply) => {
        await groupMappings.add(params.name, body, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/identity-sources/:name/groups/remove',
      config: { access: ['VcIdentityProviders.Manage'], rehearse: true },
      schema: {
        tags: ['access'],
        summary: 'Take a group of an identity source out of a group of ours, at once',
        params: ByName,
        body: GroupMapping,
        response: { 204: Nothing },
      },
      handler: async ({ params, body, principal }, reply) => {
        await groupMappings.remove(params.name, body, principal)
        return reply.code(204).send(null)
      },
    })
  }
}
