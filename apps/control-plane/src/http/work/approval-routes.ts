import { Approval, ApprovalList, ApproveRequest, CloseRequest } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Approvals } from '../../app/approvals/approvals.ts'
import { ById } from '../parameters.ts'
import type { Routes } from '../routes.ts'

/** Destructive requests that wait for a second user. What else each needs, its action says (`ApprovalAction`). */
export function approvalRoutes(approvals: Approvals): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/approvals',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['approvals'],
        summary: 'Requests that wait for a second user; or all, the newest first',
        querystring: Type.Object({ all: Type.Optional(Type.Boolean()) }, { additionalProperties: false }),
        response: { 200: ApprovalList },
      },
      handler: async ({ query, principal }) => ({ approvals: await approvals.list(query.all !== true, principal) }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/approvals/:id',
      config: { access: ['Cryptographer.ManageKeys'] },
      schema: {
        tags: ['approvals'],
        summary: 'One request, with all that would die by it now',
        params: ById,
        response: { 200: Approval },
      },
      handler: ({ params, principal }) => approvals.show(params.id, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/approvals/:id/approve',
      config: { access: ['Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['approvals'],
        summary: 'Let it happen: another user than who asked for it, with the digest of exactly what was shown',
        params: ById,
        body: ApproveRequest,
        response: { 200: Approval },
      },
      handler: ({ params, body, principal }) => approvals.approve(params.id, body, principal),
    })
    for (const verb of ['reject', 'withdraw'] as const) {
      server.route({
        method: 'POST',
        url: `/api/v1/approvals/:id/${verb}`,
        config: { access: ['Cryptographer.ManageKeys'], rehearse: true },
        schema: {
          tags: ['approvals'],
          summary: verb === 'reject' ? 'Say no to it' : 'Take back what you asked for',
          params: ById,
          body: CloseRequest,
          response: { 200: Approval },
        },
        handler: ({ params, body, principal }) => approvals[verb](params.id, body.comment, principal),
      })
    }
  }
}
