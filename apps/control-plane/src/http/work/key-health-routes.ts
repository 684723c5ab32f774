import { KeyHealthList, TaskStarted, UsedKeyHealth, VerifyKeys } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Work } from '../../app/work/work.ts'
import type { Routes } from '../routes.ts'

const Provider = Type.String({ minLength: 1, maxLength: 80 })
const HealthQuery = Type.Object(
  { provider: Type.Optional(Provider), bad: Type.Optional(Type.Boolean()) },
  { additionalProperties: false },
)
const ByKey = Type.Object({ provider: Provider, keyId: Type.String({ minLength: 1, maxLength: 256 }) })

/** What reading back the keys in use found. */
export function keyHealthRoutes(work: Work): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/key-health',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['keys'],
        summary:
          'All keys in use, when each was verified last and what was found; `bad`: only those not as they should be',
        querystring: HealthQuery,
        response: { 200: KeyHealthList },
      },
      handler: async ({ query }) => ({ keys: await work.keyVerification.list(query) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/key-health/verify',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['keys'],
        summary: 'Read all keys in use back from their providers now',
        body: VerifyKeys,
        response: { 202: TaskStarted },
      },
      handler: async ({ body, principal }, reply) =>
        reply.code(202).send({ task: await work.verifyKeys(principal, body) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/keys/:provider/:keyId/verify',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['keys'],
        summary: 'Read one key in use back from its provider now',
        params: ByKey,
        response: { 200: UsedKeyHealth },
      },
      handler: ({ params }) => work.keyVerification.verify(params),
    })
  }
}
