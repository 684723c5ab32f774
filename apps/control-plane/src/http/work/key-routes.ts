import { Key, KeyList } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Work } from '../../app/work/work.ts'
import type { Routes } from '../routes.ts'

const Provider = Type.String({ minLength: 1, maxLength: 80 })
const KeyQuery = Type.Object(
  {
    provider: Type.Optional(Provider),
    offset: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000 })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000 })),
  },
  { additionalProperties: false },
)
const ByKey = Type.Object({ provider: Provider, keyId: Type.String({ minLength: 1, maxLength: 256 }) })

/** Keys as their provider tells of them; never their bytes. */
export function keyRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/keys',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['keys'],
        summary: 'The keys of a provider (the default one, unless one is named), as it tells of them',
        querystring: KeyQuery,
        response: { 200: KeyList },
      },
      handler: async ({ query, principal }) => ({ keys: await work.listKeys(principal, query) }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/keys/:provider/:keyId',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: { tags: ['keys'], summary: 'One key', params: ByKey, response: { 200: Key } },
      handler: ({ params, principal }) => work.showKey(principal, params.provider, params.keyId),
    })
  }
}
