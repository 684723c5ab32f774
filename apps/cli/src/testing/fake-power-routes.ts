import { ChangePower, DeclareOff, MigrateVm, TaskStarted, Vm } from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedVm } from './canned.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'

/** The power of VMs: each is off, whatever is done to it. */
export function addFakePower(server: RestServer, made: Promise<FakeControlPlane>): void {
  const api = '/api/v1'
  const started = async (type: string) => ({ task: (await made).startTask(type, 'db1') })
  server.post(
    `${api}/vms/:vm/power`,
    { schema: { body: ChangePower, response: { 202: TaskStarted } } },
    async ({ body }, reply) => reply.code(202).send(await started(`vm.${body.action}`)),
  )
  server.post(
    `${api}/vms/:vm/migrate`,
    { schema: { body: MigrateVm, response: { 202: TaskStarted } } },
    async (_request, reply) => reply.code(202).send(await started('vm.migrate')),
  )
  server.post(`${api}/vms/:vm/declare-off`, { schema: { body: DeclareOff, response: { 200: Vm } } }, async () =>
    cannedVm('db1', false),
  )
  server.post(`${api}/hosts/:name/machines/:vm/stop`, async (_request, reply) => reply.code(204).send())
}
