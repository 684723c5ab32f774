import { Readable } from 'node:stream'
import {
  CertificateList,
  DecommissionHost,
  EnableKeyPersistence,
  ExposedKeyList,
  HostDumpList,
  HostKeyChoice,
  HostKeyPersistence,
  KeyHealthList,
  MoveHost,
  OpenHostBundle,
  RebootCheckList,
  RekeyHosts,
  SetCryptoMode,
  StartedForHosts,
  SupportBundlePlan,
  TakeHostBundle,
  TakeSystemBundle,
  TaskStarted,
  UnlockVms,
  UsedKeyHealth,
  VerifyKeys,
} from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import {
  cannedBundlePlan,
  cannedCertificate,
  cannedCheck,
  cannedDump,
  cannedExposed,
  cannedHealth,
  cannedKeyPersistence,
} from './canned-hosts.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'

const api = '/api/v1'

const nameOf = (request: { params: unknown }) => (request.params as { name: string }).name

/** Routes of the care for hosts, their keys and certificates. */
export function addHostCare(server: RestServer, made: Promise<FakeControlPlane>): void {
  const started = async (type: string, name: string) => ({ task: (await made).startTask(type, name) })
  for (const [path, type, schema] of [
    ['crypto/enable', 'host.crypto-enable', { body: HostKeyChoice }],
    ['crypto/disable', 'host.crypto-disable', {}],
    ['rekey', 'host.rekey', { body: HostKeyChoice }],
    ['move', 'host.move', { body: MoveHost }],
    ['decommission', 'host.decommission', { body: DecommissionHost }],
  ] as const) {
    server.post(`${api}/hosts/:name/${path}`, { schema }, async (request, reply) =>
      reply.code(202).send(await started(type, nameOf(request))),
    )
  }
  server.post(
    `${api}/clusters/:name/rekey-hosts`,
    { schema: { body: RekeyHosts, response: { 202: StartedForHosts } } },
    async (_request, reply) =>
      reply.code(202).send({
        tasks: [(await started('host.rekey', 'host-a')).task],
        skipped: [{ host: 'host-b', reason: 'is not connected: start its agent' }],
      }),
  )
  server.put(`${api}/clusters/:name/crypto-mode`, { schema: { body: SetCryptoMode } }, async (_request, reply) =>
    reply.code(204).send(),
  )
  server.get(`${api}/hosts/:name/dumps`, { schema: { response: { 200: HostDumpList } } }, async () => ({
    dumps: [cannedDump],
  }))
  const persistence = `${api}/hosts/:name/key-persistence`
  const answer = { schema: { response: { 200: HostKeyPersistence } } }
  server.get(persistence, answer, async () => cannedKeyPersistence)
  server.delete(persistence, answer, async () => ({ ...cannedKeyPersistence, keepDays: null }))
  server.put(
    persistence,
    { schema: { ...answer.schema, body: EnableKeyPersistence } },
    async () => cannedKeyPersistence,
  )
  server.post(`${api}/hosts/:name/dumps/:dump/open`, async (_request, reply) => {
    const { exported } = await made
    return reply.type('application/octet-stream').header('content-length', exported.length).send(exported)
  })
  for (const [path, body] of [
    ['hosts/:name', TakeHostBundle],
    ['system', TakeSystemBundle],
  ] as const) {
    const url = `${api}/${path}/support-bundle`
    server.get(url, { schema: { response: { 200: SupportBundlePlan } } }, async () => cannedBundlePlan)
    server.post(url, { schema: { body } }, async (_request, reply) => {
      const { exported, exportBreaksOff } = await made
      const content = async function* () {
        yield exported
        if (exportBreaksOff) throw new Error('the host is gone')
      }
      return reply.type('application/octet-stream').send(Readable.from(content(), { objectMode: false }))
    })
  }
  server.post(
    `${api}/hosts/:name/support-bundle/open`,
    { schema: { body: OpenHostBundle } },
    async (_request, reply) => {
      const { bundleKey } = await made
      return reply.type('application/octet-stream').header('content-length', bundleKey.length).send(bundleKey)
    },
  )
  server.get(`${api}/exposed-keys`, { schema: { response: { 200: ExposedKeyList } } }, async () => ({
    keys: [cannedExposed],
  }))
  server.post(
    `${api}/vms-unlock`,
    { schema: { body: UnlockVms, response: { 202: TaskStarted } } },
    async (_request, reply) => reply.code(202).send(await started('vm.unlock-all', 'all locked VMs')),
  )
  for (const noun of ['hosts', 'clusters']) {
    server.get(
      `${api}/${noun}/:name/check-reboot`,
      { schema: { response: { 200: RebootCheckList } } },
      async () => cannedCheck,
    )
  }
  server.post(`${api}/hosts/:name/renew-certificate`, async (_request, reply) => reply.code(202).send())
  server.get(`${api}/certificates`, { schema: { response: { 200: CertificateList } } }, async () => ({
    certificates: [cannedCertificate],
  }))
  server.get(`${api}/key-health`, { schema: { response: { 200: KeyHealthList } } }, async () => ({
    keys: [cannedHealth],
  }))
  server.post(
    `${api}/key-health/verify`,
    { schema: { body: VerifyKeys, response: { 202: TaskStarted } } },
    async (_request, reply) => reply.code(202).send(await started('keys.verify', 'all keys')),
  )
  server.post(
    `${api}/keys/:provider/:keyId/verify`,
    { schema: { response: { 200: UsedKeyHealth } } },
    async () => cannedHealth,
  )
}
