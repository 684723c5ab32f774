import { ChangePower, Id, MachineList, MachineStatus, PowerOn } from '@cryptvisor/host-agent-api'
import { RestError, type RestServer } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { Machines } from '../machine/machines.ts'

const Params = Type.Object({ vmId: Id })

/** `/v1/machines…`: the VMs that run on this host. */
export function addMachineRoutes(app: RestServer, machines: Machines): void {
  app.get('/v1/machines', { schema: { response: { 200: MachineList } } }, async () => ({ machines: machines.statuses }))

  app.put(
    '/v1/machines/:vmId',
    { schema: { params: Params, body: PowerOn, response: { 200: MachineStatus } } },
    async ({ params, body }) => {
      if (params.vmId !== body.vm.vmId) {
        throw new RestError(400, 'invalid-request', 'vmId: path and body name different VMs', { field: 'vmId' })
      }
      return await machines.powerOn(body)
    },
  )

  app.post(
    '/v1/machines/:vmId/power',
    { schema: { params: Params, body: ChangePower, response: { 200: MachineStatus } } },
    async ({ params, body }) => await machines.changePower(params.vmId, body),
  )

  app.delete(
    '/v1/machines/:vmId',
    { schema: { params: Params, response: { 204: Type.Null({ description: 'No content' }) } } },
    async ({ params }, reply) => {
      await machines.forget(params.vmId)
      return await reply.code(204).send(null)
    },
  )
}
