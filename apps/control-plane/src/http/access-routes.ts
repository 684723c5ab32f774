import {
  ApiTokenList,
  ChangePassword,
  ChangeRole,
  ChangeUser,
  CreateApiToken,
  CreateRole,
  CreateUser,
  LoginAnswer,
  LoginRequest,
  Me,
  NewApiToken,
  Role,
  RoleList,
  SessionList,
  User,
  UserList,
} from '@cryptvisor/control-plane-api'
import { contentRules } from '../app/content-rules.ts'
import type { Platform } from '../app/platform.ts'
import { ById, ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

/** Logging in and out, users, roles, API tokens. */
export function accessRoutes({
  passwordLogins,
  logins,
  userSessions,
  users,
  roles,
  tokens,
  permissions,
}: Platform): Routes {
  return (server) => {
    server.route({
      method: 'POST',
      url: '/api/v1/login',
      config: { access: 'public', idempotencyKey: false },
      schema: { tags: ['access'], summary: 'Log in', body: LoginRequest, response: { 200: LoginAnswer } },
      handler: ({ body, ip }) => passwordLogins.logIn(body, ip),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/logout',
      config: { access: 'logged-in', beforeSecondFactor: true, idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'End this session, or make this API token worthless',
        response: { 204: Nothing },
      },
      handler: async ({ principal }, reply) => {
        await logins.logOut(principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/me',
      config: { access: 'logged-in' },
      schema: { tags: ['access'], summary: 'Who you are and what you may do', response: { 200: Me } },
      handler: async ({ principal }) => ({
        name: principal.name,
        ...(await users.belongings(principal.name)),
        login: await userSessions.current(principal),
        role: principal.role,
        privileges: [...principal.privileges],
        permissions: await permissions.ofCaller(principal),
      }),
    })

    server.route({
      method: 'POST',
      url: '/api/v1/me/password',
      config: { access: 'logged-in', idempotencyKey: false },
      schema: {
        tags: ['access'],
        summary: 'Give yourself another password, for the one that you have; your other sessions end',
        body: ChangePassword,
        response: { 204: Nothing },
      },
      handler: async ({ body, principal, ip }, reply) => {
        await logins.changePassword(principal, body, ip)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/sessions',
      config: { access: 'logged-in', also: [contentRules.othersSessions] },
      schema: {
        tags: ['access'],
        summary: 'Your sessions; everybody’s for who has Sessions.TerminateSession',
        response: { 200: SessionList },
      },
      handler: async ({ principal }) => ({ sessions: await userSessions.list(principal) }),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/sessions/:id',
      config: { access: 'logged-in', also: [contentRules.othersSessions], rehearse: true },
      schema: { tags: ['access'], summary: 'End a session', params: ById, response: { 204: Nothing } },
      handler: async ({ params, principal }, reply) => {
        await userSessions.end(params.id, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/users/:name/sessions',
      config: { access: ['Sessions.TerminateSession'], rehearse: true },
      schema: {
        tags: ['users'],
        summary: 'End all sessions of a user; their API tokens stay',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await userSessions.endAll(params.name, principal)
        return reply.code(204).send(null)
      },
    })

    server.route({
      method: 'GET',
      url: '/api/v1/users',
      config: { access: ['System.Read'] },
      schema: { tags: ['users'], summary: 'All users', response: { 200: UserList } },
      handler: async () => ({ users: await users.list() }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/users',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true, idempotencyKey: false },
      schema: { tags: ['users'], summary: 'Make a user', body: CreateUser, response: { 201: User } },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await users.create(body, principal)),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/users/:name',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true, idempotencyKey: false },
      schema: {
        tags: ['users'],
        summary: 'Give a user another role or password',
        params: ByName,
        body: ChangeUser,
        response: { 200: User },
      },
      handler: ({ params, body, principal }) => users.change(params.name, body, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/users/:name',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true },
      schema: { tags: ['users'], summary: 'Remove a user', params: ByName, response: { 204: Nothing } },
      handler: async ({ params, principal }, reply) => {
        await users.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })

    server.route({
      method: 'GET',
      url: '/api/v1/roles',
      config: { access: ['System.Read'] },
      schema: { tags: ['users'], summary: 'All roles', response: { 200: RoleList } },
      handler: async () => ({ roles: await roles.list() }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/roles',
      config: { access: ['Authorization.ModifyRoles'], rehearse: true },
      schema: { tags: ['users'], summary: 'Make a role', body: CreateRole, response: { 201: Role } },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await roles.create(body, principal)),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/roles/:name',
      config: { access: ['Authorization.ModifyRoles'], rehearse: true },
      schema: {
        tags: ['users'],
        summary: 'Give a role other privileges; they count at once for whoever has it',
        params: ByName,
        body: ChangeRole,
        response: { 200: Role },
      },
      handler: ({ params, body, principal }) => roles.change(params.name, body, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/roles/:name',
      config: { access: ['Authorization.ModifyRoles'], rehearse: true },
      schema: { tags: ['users'], summary: 'Remove a role', params: ByName, response: { 204: Nothing } },
      handler: async ({ params, principal }, reply) => {
        await roles.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })

    server.route({
      method: 'GET',
      url: '/api/v1/tokens',
      config: { access: 'logged-in', also: [contentRules.othersTokens] },
      schema: {
        tags: ['users'],
        summary: 'Your API tokens; everybody’s for who manages users',
        response: { 200: ApiTokenList },
      },
      handler: async ({ principal }) => ({ tokens: await tokens.list(principal) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/tokens',
      config: { access: 'logged-in', idempotencyKey: false },
      schema: { tags: ['users'], summary: 'Make an API token', body: CreateApiToken, response: { 201: NewApiToken } },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await tokens.create(body, principal)),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/tokens/:id',
      config: { access: 'logged-in', also: [contentRules.othersTokens], rehearse: true },
      schema: { tags: ['users'], summary: 'Make an API token worthless', params: ById, response: { 204: Nothing } },
      handler: async ({ params, principal }, reply) => {
        await tokens.remove(params.id, principal)
        return reply.code(204).send(null)
      },
    })
  }
}
