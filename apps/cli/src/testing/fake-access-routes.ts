import {
  ChangePassword,
  CreateFolder,
  CreateGroup,
  Folder,
  FolderList,
  Group,
  GroupList,
  LoginRule,
  MoveTo,
  NewSecondFactor,
  Permission,
  PermissionCheck,
  PermissionList,
  RecoveryCodes,
  RemovePermission,
  RenameFolder,
  SecondFactorCode,
  SecondFactorState,
  SessionList,
  SetPermission,
  Vm,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedTime, cannedVm } from './canned.ts'

const api = '/api/v1'
const folder = { id: 'f-1', name: 'Berlin', path: '/Sales/Berlin', vms: ['db1', 'web'] }
const permission = {
  object: { kind: 'folder' as const, name: '/Sales' },
  to: { kind: 'group' as const, name: 'operators' },
  role: 'NoAccess',
  propagate: true,
}

/** Folders, groups, permissions, sessions. */
export function addFakeAccess(server: RestServer): void {
  addFakeFolders(server)
  addFakeGroups(server)
  server.get(`${api}/permissions`, { schema: { response: { 200: PermissionList } } }, async () => ({
    permissions: [permission],
  }))
  server.put(
    `${api}/permissions`,
    { schema: { body: SetPermission, response: { 200: Permission } } },
    async ({ body }) => ({ ...body, propagate: body.propagate ?? true }),
  )
  server.post(`${api}/permissions/remove`, { schema: { body: RemovePermission } }, async (_request, reply) =>
    reply.code(204).send(),
  )
  server.get(`${api}/permissions/check`, { schema: { response: { 200: PermissionCheck } } }, async (request) => {
    // Query parameters are text.
    const { user, privilege, name } = request.query as { user: string; privilege: string; name: string }
    return {
      user,
      privilege,
      object: { kind: 'vm' as const, name },
      allowed: false,
      because: name === 'web' ? [] : [{ ...permission, has: false }],
    }
  })
  addFakeSecondFactors(server)
  server.post(`${api}/me/password`, { schema: { body: ChangePassword } }, async (_request, reply) =>
    reply.code(204).send(),
  )
  const session = { id: 's-1', user: 'kim', address: '192.0.2.1', createdAt: cannedTime, lastUsedAt: null }
  server.get(`${api}/sessions`, { schema: { response: { 200: SessionList } } }, async () => ({
    sessions: [
      { ...session, expiresAt: cannedTime, current: false },
      { ...session, id: 's-2', user: 'admin', expiresAt: cannedTime, current: true },
    ],
  }))
  server.delete(`${api}/sessions/:id`, async (_request, reply) => reply.code(204).send())
  server.delete(`${api}/users/:name/sessions`, async (_request, reply) => reply.code(204).send())
}

function addFakeSecondFactors(server: RestServer): void {
  const mine = `${api}/me/second-factor`
  server.get(mine, { schema: { response: { 200: SecondFactorState } } }, async () => ({
    confirmedAt: cannedTime,
    recoveryCodesLeft: 7,
    required: true,
  }))
  server.post(mine, { schema: { response: { 201: NewSecondFactor } } }, async (_request, reply) =>
    reply.code(201).send({ uri: 'otpauth://totp/Cryptvisor:kim?secret=MZXW6YTB', secret: 'MZXW6YTB' }),
  )
  server.post(
    `${mine}/confirm`,
    { schema: { body: SecondFactorCode, response: { 200: RecoveryCodes } } },
    async () => ({ recoveryCodes: ['abcd-efgh-ijkl-mnop'] }),
  )
  server.post(`${mine}/disable`, { schema: { body: SecondFactorCode } }, async (_request, reply) =>
    reply.code(204).send(),
  )
  server.delete(`${api}/users/:name/second-factor`, async (_request, reply) => reply.code(204).send())
  server.get(`${api}/login-rule`, { schema: { response: { 200: LoginRule } } }, async () => ({
    secondFactor: 'administrators' as const,
  }))
  server.put(
    `${api}/login-rule`,
    { schema: { body: LoginRule, response: { 200: LoginRule } } },
    async ({ body }) => body,
  )
}

function addFakeFolders(server: RestServer): void {
  server.get(`${api}/folders`, { schema: { response: { 200: FolderList } } }, async () => ({ folders: [folder] }))
  server.post(
    `${api}/folders`,
    { schema: { body: CreateFolder, response: { 201: Folder } } },
    async (request, reply) => {
      const { name, parent } = request.body
      return reply.code(201).send({ ...folder, name, path: `${parent === '/' ? '' : parent}/${name}` })
    },
  )
  server.patch(
    `${api}/folders/:folder`,
    { schema: { body: RenameFolder, response: { 200: Folder } } },
    async ({ body }) => ({ ...folder, name: body.name, path: `/Sales/${body.name}` }),
  )
  server.post(
    `${api}/folders/:folder/move`,
    { schema: { body: MoveTo, response: { 200: Folder } } },
    async () => folder,
  )
  server.delete(`${api}/folders/:folder`, async (_request, reply) => reply.code(204).send())
  server.post(`${api}/vms/:vm/move`, { schema: { body: MoveTo, response: { 200: Vm } } }, async ({ body }) => ({
    ...cannedVm('db1', false),
    folder: body.folder,
  }))
}

function addFakeGroups(server: RestServer): void {
  server.get(`${api}/groups`, { schema: { response: { 200: GroupList } } }, async () => ({
    groups: [{ name: 'operators', description: 'the night shift', members: ['kim', 'lee'] }],
  }))
  server.post(`${api}/groups`, { schema: { body: CreateGroup, response: { 201: Group } } }, async (request, reply) =>
    reply.code(201).send({ name: request.body.name, description: request.body.description ?? '', members: [] }),
  )
  server.delete(`${api}/groups/:name`, async (_request, reply) => reply.code(204).send())
  server.put(`${api}/groups/:name/members/:user`, async (_request, reply) => reply.code(204).send())
  server.delete(`${api}/groups/:name/members/:user`, async (_request, reply) => reply.code(204).send())
}
