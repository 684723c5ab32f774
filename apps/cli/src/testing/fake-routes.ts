import { once } from 'node:events'
import { Readable } from 'node:stream'
import {
  AddDisk,
  ApiTokenList,
  ChangePolicy,
  ChangeRole,
  ChangeUser,
  CloneVm,
  Cluster,
  ClusterList,
  CreateApiToken,
  CreateCluster,
  CreateDatastore,
  CreateEnrolmentToken,
  CreateRole,
  CreateUser,
  CreateVm,
  Datastore,
  DatastoreList,
  DiskList,
  EventList,
  ExportDisk,
  Host,
  HostList,
  ImportDisk,
  ImportVolume,
  Key,
  KeyList,
  LoginAnswer,
  LoginRequest,
  Me,
  NewApiToken,
  NewEnrolmentToken,
  plainPolicy,
  RekeyVm,
  RestoreHeader,
  Role,
  RoleList,
  Task,
  TaskList,
  TaskSpeed,
  TaskStarted,
  User,
  UserList,
  Vm,
  VmList,
} from '@cryptvisor/control-plane-api'
import { RestError, type RestServer, readSecret } from '@cryptvisor/rest'
import { cannedHost, cannedKey, cannedOrphan, cannedTime, cannedUser, cannedVm } from './canned.ts'
import { addFakeAccess } from './fake-access-routes.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'
import { addHostCare } from './fake-host-routes.ts'
import { addFakeIdentity } from './fake-identity-routes.ts'
import { addFakeProviderRoutes } from './fake-key-provider-routes.ts'
import { addFakeKeyLives } from './fake-key-routes.ts'
import { addFakeNativeRoutes } from './fake-native-routes.ts'
import { addFakePolicies } from './fake-policies.ts'
import { addFakePower } from './fake-power-routes.ts'
import { addRegistration } from './fake-registration-routes.ts'
import { addSystem } from './fake-system-routes.ts'
import { addFakeTrouble } from './fake-trouble-routes.ts'

const api = '/api/v1'
const apiToken = {
  id: 'token-1',
  name: 'backup',
  user: 'admin',
  createdAt: cannedTime,
  expiresAt: null,
  lastUsedAt: null,
}

/** All routes of the API that its client calls. */
export function addFakeRoutes(server: RestServer, made: Promise<FakeControlPlane>): void {
  addAccess(server, made)
  addFakeAccess(server)
  addFakeIdentity(server, made)
  addInventory(server)
  addFakePolicies(server, made)
  addFakePower(server, made)
  addProviders(server, made)
  addVms(server, made)
  addTasksAndEvents(server, made)
  addHostCare(server, made)
  addFakeKeyLives(server)
  addFakeTrouble(server)
  addSystem(server, made)
  addRegistration(server)
}

function addAccess(server: RestServer, made: Promise<FakeControlPlane>): void {
  server.post(`${api}/login`, { schema: { body: LoginRequest, response: { 200: LoginAnswer } } }, async (request) => {
    const fake = await made
    const { user, password } = request.body
    if (password !== fake.password) throw new RestError(401, 'not-logged-in', 'user or password is wrong')
    fake.tokens.add('session-token')
    return { token: 'session-token', user, expiresAt: '2099-01-01T00:00:00.000Z' }
  })
  server.post(`${api}/logout`, async (request, reply) => {
    const token = request.headers.authorization?.replace(/^Bearer /, '')
    ;(await made).tokens.delete(token ?? '')
    return reply.code(204).send()
  })
  server.get(`${api}/me`, { schema: { response: { 200: Me } } }, async () => ({
    name: 'admin',
    source: null,
    groups: ['operators'],
    secondFactor: true,
    login: { kind: 'session' as const, expiresAt: cannedTime, idleMinutes: 60 },
    role: 'Admin',
    privileges: ['System.Read', 'Cryptographer.Encrypt'],
    permissions: [
      {
        object: { kind: 'root' as const, name: '/' },
        to: { kind: 'user' as const, name: 'admin' },
        role: 'Admin',
        propagate: true,
      },
    ],
  }))
  server.get(`${api}/users`, { schema: { response: { 200: UserList } } }, async () => ({ users: [cannedUser] }))
  server.post(`${api}/users`, { schema: { body: CreateUser, response: { 201: User } } }, async (request, reply) =>
    reply.code(201).send({ ...cannedUser, name: request.body.name, role: request.body.role ?? null }),
  )
  server.patch(`${api}/users/:name`, { schema: { body: ChangeUser, response: { 200: User } } }, async (request) => ({
    ...cannedUser,
    // The route's path has this parameter.
    name: (request.params as { name: string }).name,
    role: request.body.role ?? 'Admin',
  }))
  server.delete(`${api}/users/:name`, async (_request, reply) => reply.code(204).send())
  server.get(`${api}/roles`, { schema: { response: { 200: RoleList } } }, async () => ({
    roles: [{ name: 'Admin', privileges: ['System.Read', 'Global.CancelTask'], system: true }],
  }))
  server.post(`${api}/roles`, { schema: { body: CreateRole, response: { 201: Role } } }, async (request, reply) =>
    reply.code(201).send({ ...request.body, system: false }),
  )
  server.patch(`${api}/roles/:name`, { schema: { body: ChangeRole, response: { 200: Role } } }, async (request) => ({
    // The route's path has this parameter.
    name: (request.params as { name: string }).name,
    privileges: ['System.Read'],
    system: false,
  }))
  server.delete(`${api}/roles/:name`, async (_request, reply) => reply.code(204).send())
  server.get(`${api}/tokens`, { schema: { response: { 200: ApiTokenList } } }, async () => ({
    tokens: [apiToken, { ...apiToken, id: 'token-2', name: 'twice' }, { ...apiToken, id: 'token-3', name: 'twice' }],
  }))
  server.post(
    `${api}/tokens`,
    { schema: { body: CreateApiToken, response: { 201: NewApiToken } } },
    async (request, reply) =>
      reply.code(201).send({ token: 'api-token-value', info: { ...apiToken, name: request.body.name } }),
  )
  server.delete(`${api}/tokens/:id`, async (_request, reply) => reply.code(204).send())
}

function addInventory(server: RestServer): void {
  server.get(`${api}/clusters`, { schema: { response: { 200: ClusterList } } }, async () => ({
    clusters: [{ id: 'c-1', name: 'main', hosts: ['host-a', 'host-b'], cryptoMode: 'on-demand' as const }],
  }))
  server.post(
    `${api}/clusters`,
    { schema: { body: CreateCluster, response: { 201: Cluster } } },
    async (request, reply) =>
      reply.code(201).send({ id: 'c-2', name: request.body.name, hosts: [], cryptoMode: 'on-demand' as const }),
  )
  server.delete(`${api}/clusters/:name`, async (_request, reply) => reply.code(204).send())
  server.get(`${api}/hosts`, { schema: { response: { 200: HostList } } }, async () => ({ hosts: [cannedHost] }))
  server.get(`${api}/hosts/:name`, { schema: { response: { 200: Host } } }, async () => cannedHost)
  server.post(
    `${api}/hosts/enrolment-tokens`,
    { schema: { body: CreateEnrolmentToken, response: { 201: NewEnrolmentToken } } },
    async (_request, reply) => reply.code(201).send({ token: 'enrolment-token-value', expiresAt: cannedTime }),
  )
  server.delete(`${api}/hosts/:name`, async (_request, reply) => reply.code(204).send())
  server.get(`${api}/datastores`, { schema: { response: { 200: DatastoreList } } }, async () => ({
    datastores: [{ id: 'd-1', name: 'fast', cluster: 'main', path: '/srv/vms' }],
  }))
  server.post(
    `${api}/datastores`,
    { schema: { body: CreateDatastore, response: { 201: Datastore } } },
    async (request, reply) => reply.code(201).send({ id: 'd-2', ...request.body }),
  )
  server.delete(`${api}/datastores/:name`, async (_request, reply) => reply.code(204).send())
}

function addProviders(server: RestServer, made: Promise<FakeControlPlane>): void {
  server.put(`${api}/key-providers/:name/client-key`, async (request, reply) => {
    const size = Number(request.headers['content-length'])
    using key = await readSecret(request.body, size)
    ;(await made).clientKeys.push(key.expose((bytes) => Buffer.from(bytes).toString()))
    return reply.code(204).send()
  })
  addFakeProviderRoutes(server)
  addFakeNativeRoutes(server, made)
  server.delete(`${api}/key-providers/:name`, async (_request, reply) => reply.code(204).send())
  server.get(`${api}/keys`, { schema: { response: { 200: KeyList } } }, async () => ({
    keys: [cannedKey, cannedOrphan],
  }))
  server.get(`${api}/keys/:provider/:keyId`, { schema: { response: { 200: Key } } }, async (request) => {
    // The route's path has these parameters.
    const { provider, keyId } = request.params as { provider: string; keyId: string }
    const known = keyId === 'both' || (provider === 'kms' && keyId === cannedKey.keyId)
    if (!known) throw new RestError(404, 'not-found', `${provider} has no key ${keyId}`)
    return { ...cannedKey, provider, keyId }
  })
}

function addVms(server: RestServer, made: Promise<FakeControlPlane>): void {
  const nameOf = (request: { params: unknown }) => (request.params as { vm: string }).vm
  const started = async (type: string, name: string) => ({ task: (await made).startTask(type, name) })
  server.get(`${api}/vms`, { schema: { response: { 200: VmList } } }, async () => ({
    vms: [cannedVm('db1', true), cannedVm('web', false)],
  }))
  server.get(`${api}/vms/:vm`, { schema: { response: { 200: Vm } } }, async (request) =>
    cannedVm(nameOf(request), (await made).encrypted),
  )
  server.post(`${api}/vms`, { schema: { body: CreateVm, response: { 202: TaskStarted } } }, async (request, reply) =>
    reply.code(202).send(await started('vm.create', request.body.name)),
  )
  server.delete(`${api}/vms/:vm`, { schema: { response: { 202: TaskStarted } } }, async (request, reply) =>
    reply.code(202).send(await started('vm.delete', nameOf(request))),
  )
  server.post(
    `${api}/vms/:vm/policy`,
    { schema: { body: ChangePolicy, response: { 202: TaskStarted } } },
    async (request, reply) => {
      const text = JSON.stringify(request.body)
      const type = text.includes(plainPolicy) ? 'vm.decrypt' : 'vm.encrypt'
      return reply.code(202).send(await started(type, nameOf(request)))
    },
  )
  server.post(`${api}/vms/:vm/unlock`, { schema: { response: { 200: Vm } } }, async (request) =>
    cannedVm(nameOf(request), false),
  )
  server.get(`${api}/vms/:vm/disks`, { schema: { response: { 200: DiskList } } }, async (request) => ({
    disks: cannedVm(nameOf(request), true).disks,
  }))
  server.post(
    `${api}/vms/:vm/disks`,
    { schema: { body: AddDisk, response: { 202: TaskStarted } } },
    async (request, reply) => reply.code(202).send(await started('vm.add-disk', nameOf(request))),
  )
  server.post(
    `${api}/vms/:vm/disks/import`,
    { schema: { body: ImportDisk, response: { 202: TaskStarted } } },
    async (request, reply) => {
      return reply.code(202).send({ task: (await made).startImport(nameOf(request)) })
    },
  )
  server.post(
    `${api}/vms/:vm/disks/import-volume`,
    { schema: { body: ImportVolume, response: { 202: TaskStarted } } },
    async (request, reply) => reply.code(202).send({ task: (await made).startImport(nameOf(request)) }),
  )
  server.post(
    `${api}/vms/:vm/rekey`,
    { schema: { body: RekeyVm, response: { 202: TaskStarted } } },
    async (request, reply) => reply.code(202).send(await started('vm.rekey', nameOf(request))),
  )
  server.post(
    `${api}/vms/:vm/clone`,
    { schema: { body: CloneVm, response: { 202: TaskStarted } } },
    async (request, reply) => reply.code(202).send(await started('vm.clone', request.body.name)),
  )
  for (const [name, schema] of [
    ['export', { body: ExportDisk }],
    ['header-backup', {}],
  ] as const) {
    server.post(`${api}/vms/:vm/disks/:number/${name}`, { schema }, async (_request, reply) => {
      const { exported, exportBreaksOff } = await made
      const pieces = async function* () {
        yield exported
        // What was sent has to be on its way before the connection breaks.
        await new Promise(setImmediate)
        if (exportBreaksOff) throw new Error('the host is gone')
      }
      const sizeBytes = exported.length + (exportBreaksOff ? 1 : 0)
      return reply.type('application/octet-stream').header('content-length', sizeBytes).send(Readable.from(pieces()))
    })
  }
  server.post(
    `${api}/vms/:vm/disks/:number/header-restore`,
    { schema: { body: RestoreHeader, response: { 202: TaskStarted } } },
    async (request, reply) => reply.code(202).send({ task: (await made).startImport(nameOf(request)) }),
  )
}

function addTasksAndEvents(server: RestServer, made: Promise<FakeControlPlane>): void {
  const idOf = (request: { params: unknown }) => (request.params as { id: string }).id
  server.get(`${api}/tasks`, { schema: { response: { 200: TaskList } } }, async () => ({
    tasks: [...(await made).tasks.values()],
  }))
  server.get(`${api}/tasks/:id`, { schema: { response: { 200: Task } } }, async (request) =>
    (await made).askFor(idOf(request)),
  )
  server.post(`${api}/tasks/:id/cancel`, { schema: { response: { 200: Task } } }, async (request) =>
    (await made).endTask(idOf(request), { state: 'cancelled' }),
  )
  for (const verb of ['pause', 'resume']) {
    server.post(`${api}/tasks/:id/${verb}`, { schema: { response: { 200: Task } } }, async (request) => ({
      ...(await made).find(idOf(request)),
      paused: verb === 'pause',
    }))
  }
  server.put(`${api}/tasks/:id/speed`, { schema: { body: TaskSpeed, response: { 200: Task } } }, async (request) =>
    (await made).find(idOf(request)),
  )
  server.put(`${api}/tasks/:id/passphrase`, async (request, reply) => {
    const size = Number(request.headers['content-length'])
    using passphrase = await readSecret(request.body, size)
    const { passphrases, passphraseWaits } = await made
    passphrases.push(passphrase.expose((bytes) => Buffer.from(bytes).toString()))
    if (passphraseWaits) await once(reply.raw, 'close')
    return reply.code(204).send()
  })
  server.put(`${api}/tasks/:id/content`, { schema: { response: { 200: Task } } }, async (request) =>
    (await made).takeContent(idOf(request), request.raw),
  )
  server.get(`${api}/events`, { schema: { response: { 200: EventList } } }, async (request) => {
    const { events } = await made
    // Query parameters are text.
    const { after, limit, type } = request.query as { after?: string; limit?: string; type?: string }
    const wanted = events.filter((event) => type === undefined || event.type === type)
    const most = Number(limit ?? 100)
    if (after === undefined) return { events: wanted.toReversed().slice(0, most) }
    return { events: wanted.filter(({ id }) => id > Number(after)).slice(0, most) }
  })
  server.get(`${api}/events/stream`, async (request, reply) => {
    const fake = await made
    reply.hijack()
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
    reply.raw.write(': hello\n\n')
    const stop = fake.listen((event) => reply.raw.write(`id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`))
    request.raw.on('close', stop)
  })
}
