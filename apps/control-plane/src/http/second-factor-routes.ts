import {
  LoginRule,
  NewSecondFactor,
  RecoveryCodes,
  SecondFactorCode,
  SecondFactorState,
} from '@cryptvisor/control-plane-api'
import type { Platform } from '../app/platform.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

/** Second factors, one's own and others', and who needs one. */
export function secondFactorRoutes({ logins, secondFactors }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/me/second-factor',
      config: { access: 'logged-in', beforeSecondFactor: true },
      schema: { tags: ['access'], summary: 'Your second factor', response: { 200: SecondFactorState } },
      handler: ({ principal }) => secondFactors.state(principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/me/second-factor',
      config: { access: 'logged-in', beforeSecondFactor: true, idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Begin to set up a second factor; it counts when a code of it was confirmed',
        response: { 201: NewSecondFactor },
      },
      handler: async ({ principal }, reply) => reply.code(201).send(await secondFactors.enroll(principal)),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/me/second-factor/confirm',
      config: { access: 'logged-in', beforeSecondFactor: true, idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Have logins need a code from now on; your other sessions end',
        body: SecondFactorCode,
        response: { 200: RecoveryCodes },
      },
      handler: ({ body, principal }) => secondFactors.confirm(principal, body.code),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/me/second-factor/disable',
      config: { access: 'logged-in', idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Take your second factor off, for a code of it or a recovery code',
        body: SecondFactorCode,
        response: { 204: Nothing },
      },
      handler: async ({ body, principal, ip }, reply) => {
        await logins.disableSecondFactor(principal, body.code, ip)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/users/:name/second-factor',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true },
      schema: {
        tags: ['users'],
        summary: 'Reset the second factor of a user who lost it; the user’s sessions end',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await secondFactors.reset(params.name, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/login-rule',
      config: { access: ['VcIdentityProviders.Read'] },
      schema: { tags: ['access'], summary: 'Who needs a second factor', response: { 200: LoginRule } },
      handler: () => secondFactors.rule(),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/login-rule',
      config: { access: ['VcIdentityProviders.Manage'], rehearse: true },
      schema: {
        tags: ['access'],
        summary: 'Say who needs a second factor; it counts at once, in open sessions too',
        body: LoginRule,
        response: { 200: LoginRule },
      },
      handler: ({ body, principal }) => secondFactors.setRule(body, principal),
    })
  }
}
