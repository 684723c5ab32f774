import {
  CreateGroup,
  Group,
  GroupList,
  ObjectKind,
  Permission,
  PermissionCheck,
  PermissionList,
  RemovePermission,
  SetPermission,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { contentRules } from '../app/content-rules.ts'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import type { ObjectName } from '../app/inventory/object-paths.ts'
import type { Platform } from '../app/platform.ts'
import { eachListed, theNamedObject } from './objects.ts'
import { ByName, Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

const Text = Type.String({ minLength: 1, maxLength: 1_296 })
const ByMember = Type.Object({ name: Text, user: Text })
const PermissionQuery = Type.Object(
  {
    user: Type.Optional(Text),
    group: Type.Optional(Text),
    kind: Type.Optional(ObjectKind),
    name: Type.Optional(Text),
  },
  { additionalProperties: false },
)
const CheckQuery = Type.Object(
  { user: Text, privilege: Text, kind: ObjectKind, name: Text },
  { additionalProperties: false },
)

/** Permissions, and groups that they are given to. */
export function permissionRoutes({ permissions, groups }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/permissions',
      config: { access: ['System.Read'], on: eachListed },
      schema: {
        tags: ['users'],
        summary: 'Permissions: all, or those of a user, of a group or on one object (kind and name)',
        querystring: PermissionQuery,
        response: { 200: PermissionList },
      },
      handler: async ({ query, principal }) => ({
        permissions: await permissions.list(principal, granteeOf(query), objectOf(query)),
      }),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/permissions',
      config: { access: ['Authorization.ModifyPermissions'], on: theNamedObject, rehearse: true },
      schema: {
        tags: ['users'],
        summary: 'Give a user or a group a role on an object, in place of the one that they had there',
        body: SetPermission,
        response: { 200: Permission },
      },
      handler: ({ body, principal }) => permissions.set(body, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/permissions/remove',
      config: { access: ['Authorization.ModifyPermissions'], on: theNamedObject, rehearse: true },
      schema: {
        tags: ['users'],
        summary: 'Take away what a user or a group was given on an object',
        body: RemovePermission,
        response: { 204: Nothing },
      },
      handler: async ({ body, principal }, reply) => {
        await permissions.remove(body.object, body.to, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/permissions/check',
      config: { access: 'logged-in', also: [contentRules.checkOneself, contentRules.checkOthers] },
      schema: {
        tags: ['users'],
        summary:
          'Whether a user has a privilege on an object, and which permissions decide; of others for who manages permissions there',
        querystring: CheckQuery,
        response: { 200: PermissionCheck },
      },
      handler: ({ query: { user, privilege, kind, name }, principal }) =>
        permissions.check(user, privilege, { kind, name }, principal),
    })

    server.route({
      method: 'GET',
      url: '/api/v1/groups',
      config: { access: ['System.Read'] },
      schema: { tags: ['users'], summary: 'All groups with their members', response: { 200: GroupList } },
      handler: async () => ({ groups: await groups.list() }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/groups',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true },
      schema: { tags: ['users'], summary: 'Make a group', body: CreateGroup, response: { 201: Group } },
      handler: async ({ body, principal }, reply) => reply.code(201).send(await groups.create(body, principal)),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/groups/:name',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true },
      schema: {
        tags: ['users'],
        summary: 'Remove a group with its permissions; its members stay users',
        params: ByName,
        response: { 204: Nothing },
      },
      handler: async ({ params, principal }, reply) => {
        await groups.remove(params.name, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/groups/:name/members/:user',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true },
      schema: { tags: ['users'], summary: 'Put a user into a group', params: ByMember, response: { 204: Nothing } },
      handler: async ({ params, principal }, reply) => {
        await groups.addMember(params.name, params.user, principal)
        return reply.code(204).send(null)
      },
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/groups/:name/members/:user',
      config: { access: ['Authorization.ModifyPermissions'], rehearse: true },
      schema: { tags: ['users'], summary: 'Take a user out of a group', params: ByMember, response: { 204: Nothing } },
      handler: async ({ params, principal }, reply) => {
        await groups.removeMember(params.name, params.user, principal)
        return reply.code(204).send(null)
      },
    })
  }
}

function granteeOf({ user, group }: { readonly user?: string; readonly group?: string }) {
  if (user !== undefined && group !== undefined) {
    throw new ControlPlaneError('invalid', 'group: ask for those of a user or of a group, not of both', {
      field: 'group',
    })
  }
  if (user !== undefined) return { kind: 'user' as const, name: user }
  return group === undefined ? {} : { kind: 'group' as const, name: group }
}

function objectOf({ kind, name }: { readonly kind?: ObjectKind; readonly name?: string }): ObjectName | undefined {
  if (kind === undefined && name === undefined) return undefined
  if (kind !== undefined && name !== undefined) return { kind, name }
  throw new ControlPlaneError('invalid', 'kind: an object needs a kind and a name', { field: 'kind' })
}
