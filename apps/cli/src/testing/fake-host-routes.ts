import { KeyHealthList, TaskStarted, UsedKeyHealth, VerifyKeys } from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedHealth } from './canned-hosts.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'

const api = '/api/v1'

/** Routes of the care for hosts, their keys and certificates. */
export function addHostCare(server: RestServer, made: Promise<FakeControlPlane>): void {
  const started = async (type: string, name: string) => ({ task: (await made).startTask(type, name) })
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
