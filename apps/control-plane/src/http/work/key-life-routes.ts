import {
  DestroyedRetiredKeys,
  DestroyKey,
  DestroyRetiredKeys,
  KeyOrder,
  KeyOrderList,
  KeyOrphanList,
  KeyRequested,
  KeyUsageGraph,
  NameOrId,
  RetiredKeyList,
  RevokeKey,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { KeyLives } from '../../app/work/keys/key-lives.ts'
import type { Routes } from '../routes.ts'

const Provider = Type.String({ minLength: 1, maxLength: 80 })
const KeyId = Type.String({ minLength: 1, maxLength: 256 })
const ByKey = Type.Object({ provider: Provider, keyId: KeyId })

/** Who uses keys, which nobody knows, and how they come to their end. */
export function keyLifeRoutes(lives: KeyLives): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/key-usage',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['keys'],
        summary: 'Who needs which keys, as a graph: of a provider, a key, a VM, a host, or of everything',
        querystring: Type.Object(
          {
            provider: Type.Optional(Provider),
            keyId: Type.Optional(KeyId),
            vm: Type.Optional(NameOrId),
            host: Type.Optional(NameOrId),
          },
          { additionalProperties: false },
        ),
        response: { 200: KeyUsageGraph },
      },
      handler: ({ query, principal }) => lives.usage(query, principal),
    })
    addOrders(server, lives)
    server.route({
      method: 'GET',
      url: '/api/v1/key-orphans',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['keys'],
        summary: 'Keys that provider and control plane do not agree about: made and on record nowhere, or missing',
        querystring: Type.Object({ provider: Type.Optional(Provider) }, { additionalProperties: false }),
        response: { 200: KeyOrphanList },
      },
      handler: ({ query, principal }) => lives.orphans.find(query.provider, principal),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/retired-keys',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['keys'],
        summary: 'Keys that wrapped something once and wrap nothing now, the longest retired first',
        querystring: Type.Object(
          {
            provider: Type.Optional(Provider),
            olderThanDays: Type.Optional(Type.Integer({ minimum: 0, maximum: 36_500 })),
          },
          { additionalProperties: false },
        ),
        response: { 200: RetiredKeyList },
      },
      handler: async ({ query }) => ({ keys: await lives.retired.list(query) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/retired-keys/destroy',
      config: { access: ['Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['keys'],
        summary: 'Have all keys destroyed that were retired long enough ago; old backups may need them',
        body: DestroyRetiredKeys,
        response: { 200: DestroyedRetiredKeys },
      },
      handler: ({ body, principal }) => lives.retired.destroy(body, principal),
    })
  }
}

function addOrders(server: Parameters<Routes>[0], { orders }: KeyLives): void {
  server.route({
    method: 'GET',
    url: '/api/v1/key-orders',
    config: { access: ['Cryptographer.ManageKeys'] },
    schema: {
      tags: ['keys'],
      summary: 'What is ordered for keys: open ones, the first due first; or all, the newest first',
      querystring: Type.Object({ all: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
      response: { 200: KeyOrderList },
    },
    handler: async ({ query }) => ({ orders: await orders.list(query.all !== true) }),
  })
  server.route({
    method: 'POST',
    url: '/api/v1/keys/:provider/:keyId/destroy',
    config: { access: ['Cryptographer.ManageKeys'], rehearse: true },
    schema: {
      tags: ['keys'],
      summary: 'Have a key destroyed after a waiting time; while something uses it only with a second user’s approval',
      params: ByKey,
      body: DestroyKey,
      response: { 200: KeyRequested },
    },
    handler: ({ params, body, principal }) => orders.destroy(params.provider, params.keyId, body, principal),
  })
  server.route({
    method: 'POST',
    url: '/api/v1/keys/:provider/:keyId/revoke',
    config: { access: ['Cryptographer.ManageKeys'], rehearse: true },
    schema: {
      tags: ['keys'],
      summary: 'Have a key revoked, now; while something uses it only with a second user’s approval',
      params: ByKey,
      body: RevokeKey,
      response: { 200: KeyRequested },
    },
    handler: ({ params, body, principal }) => orders.revoke(params.provider, params.keyId, body, principal),
  })
  server.route({
    method: 'POST',
    url: '/api/v1/keys/:provider/:keyId/restore',
    config: { access: ['Cryptographer.ManageKeys'], rehearse: true },
    schema: {
      tags: ['keys'],
      summary: 'Take back what is ordered for a key and not done',
      params: ByKey,
      response: { 200: KeyOrder },
    },
    handler: ({ params, principal }) => orders.restore(params.provider, params.keyId, principal),
  })
}
