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
  type LdapConfig,
  LoginAnswer,
  LoginSourceList,
  OidcLoginBegun,
  type TestedUser,
  TestIdentitySource,
} from '@cryptvisor/control-plane-api'
import { RestError, type RestServer, readSecret } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { cannedTime } from './canned.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'

const corp: IdentitySource = {
  name: 'corp',
  kind: 'oidc',
  enabled: true,
  oidc: { issuer: 'https://login.example.org', clientId: 'cryptvisor' },
  hasSecret: true,
  confirmDays: 30,
  groups: [
    { external: 'vm-operators', group: 'operators' },
    { external: 'vm-readers', group: 'auditors' },
  ],
  userCount: 2,
  failing: null,
  createdAt: cannedTime,
}

const testedUser: TestedUser = {
  name: 'kim@corp',
  dn: 'uid=kim,ou=people,dc=example,dc=org',
  subject: '2cf879ac-7c88-1041-8dde-7d9fcef3e132',
  state: 'may log in',
  groups: [{ name: 'staff', dn: 'cn=staff,ou=groups,dc=example,dc=org', mappedTo: ['operators'] }],
  canLogIn: true,
  problem: null,
}

/** The settings of the source `directory`. */
export const fakeDirectory: LdapConfig = {
  preset: 'ad',
  servers: ['ldaps://dc1'],
  bindDn: 'cn=reader,dc=example,dc=org',
  userBase: 'dc=example,dc=org',
}

/** As the control plane would show it. */
function madeOf({ name, oidc, ldap }: CreateIdentitySource): IdentitySource {
  const { oidc: usual, ...rest } = corp
  if (ldap !== undefined) return { ...rest, name, kind: 'ldap', ldap }
  return { ...rest, name, oidc: oidc ?? usual ?? { issuer: '', clientId: '' } }
}

/** The code of the second factor that the user of the fake provider has. */
export const fakeCode = '123456'

/** Answers about identity sources; secrets that came as bytes are kept. */
export function addFakeIdentity(server: RestServer, made: Promise<FakeControlPlane>): void {
  const all = '/api/v1/identity-sources'
  const one = `${all}/:name`
  server.get(all, { schema: { response: { 200: IdentitySourceList } } }, async () => ({ sources: [corp] }))
  server.get(
    one,
    { schema: { params: Type.Object({ name: Type.String() }), response: { 200: IdentitySource } } },
    async ({ params: { name } }) => (name === 'directory' ? madeOf({ name, ldap: fakeDirectory }) : corp),
  )
  server.post(
    all,
    { schema: { body: CreateIdentitySource, response: { 201: IdentitySource } } },
    async ({ body }, reply) => reply.code(201).send({ ...madeOf(body), hasSecret: false, groups: [], userCount: 0 }),
  )
  server.patch(
    one,
    { schema: { body: ChangeIdentitySource, response: { 200: IdentitySource } } },
    async ({ body: { enabled = true, confirmDays = 30, ...settings } }) => ({
      ...{ ...madeOf({ name: corp.name, ...settings }), enabled, confirmDays },
      hasSecret: settings.oidc === undefined && settings.ldap === undefined,
    }),
  )
  server.put(`${one}/secret`, async ({ body, headers }, reply) => {
    using secret = await readSecret(body, Number(headers['content-length']))
    ;(await made).secrets.push(secret.expose((bytes) => Buffer.from(bytes).toString()))
    return reply.code(204).send()
  })
  server.post(
    `${one}/test`,
    { schema: { body: TestIdentitySource, response: { 200: IdentitySourceTest } } },
    async ({ body: { user } }) => ({
      works: user !== 'gone',
      steps: [{ name: 'ldaps://dc1.example.org', works: user !== 'gone', text: 'TLS' }],
      user: user === undefined ? null : { ...testedUser, name: `${user}@corp` },
    }),
  )
  server.post(`${one}/recheck`, { schema: { response: { 200: IdentityRecheck } } }, async () => ({
    checkedCount: 2,
    ended: [{ user: 'kim@corp', cause: 'is disabled' }],
  }))
  server.delete(one, async (_request, reply) => reply.code(204).send())
  const mapping = { schema: { body: GroupMapping } }
  server.put(`${one}/groups`, mapping, async (_request, reply) => reply.code(204).send())
  server.post(`${one}/groups/remove`, mapping, async (_request, reply) => reply.code(204).send())
  addFakeSourceLogins(server)
}

function addFakeSourceLogins(server: RestServer): void {
  const login = '/api/v1/login'
  let askedCount = 0
  server.post(
    `${login}/device`,
    { schema: { body: BeginDeviceLogin, response: { 200: DeviceLoginBegun } } },
    async () => ({
      ...{ attempt: 'attempt-2', verificationUri: 'https://login.example.org/device', userCode: 'WXYZ-1234' },
      ...{ expiresAt: cannedTime, intervalSeconds: 0 },
    }),
  )
  server.post(
    `${login}/device/finish`,
    { schema: { body: FinishDeviceLogin, response: { 200: DeviceLoginState } } },
    async () => ({
      login: askedCount++ === 0 ? null : { token: 'good-token', user: 'kim@corp', expiresAt: cannedTime },
      retryAfterSeconds: 0,
    }),
  )
  server.get(`${login}/sources`, { schema: { response: { 200: LoginSourceList } } }, async () => ({
    sources: [{ name: 'corp', kind: 'oidc' as const }],
  }))
  server.post(
    `${login}/oidc`,
    { schema: { body: BeginOidcLogin, response: { 200: OidcLoginBegun } } },
    async ({ body: { source, redirectUri } }) => {
      if (source !== 'corp') throw new RestError(404, 'not-found', `there is no identity source ${source} to log in by`)
      const url = `https://login.example.org/auth?redirect_uri=${encodeURIComponent(redirectUri)}`
      return { attempt: 'attempt-1', url, expiresAt: cannedTime }
    },
  )
  server.post(
    `${login}/oidc/finish`,
    { schema: { body: FinishOidcLogin, response: { 200: LoginAnswer } } },
    async ({ body: { query, code } }) => {
      if (query !== '?code=good&state=s')
        throw new RestError(401, 'not-logged-in', 'the browser came back from another login')
      if (code !== fakeCode)
        throw new RestError(401, 'second-factor-required', 'code: give the code of your second factor')
      return { token: 'good-token', user: 'kim@corp', expiresAt: cannedTime }
    },
  )
}
