import { Id, LockState, VmAuthority, VmFiles } from '@cryptvisor/host-agent-api'
import { RestError, type RestServer } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { listFiles } from '../datastore/list-files.ts'
import type { OperationHost } from '../operation/host.ts'
import { lockStateOf } from '../operation/lock-state.ts'

const Params = Type.Object({ vmId: Id })

/** `/v1/vms/{vmId}/…`: what changes nothing. */
export function addVmRoutes(app: RestServer, host: OperationHost): void {
  app.post(
    '/v1/vms/:vmId/unlock',
    { schema: { params: Params, body: VmAuthority, response: { 200: LockState } } },
    async ({ params, body }) => {
      requireSameVm(params.vmId, body)
      return await lockStateOf(host, body)
    },
  )

  app.post(
    '/v1/vms/:vmId/files',
    { schema: { params: Params, body: VmAuthority, response: { 200: VmFiles } } },
    async ({ params, body }) => {
      requireSameVm(params.vmId, body)
      return await listFiles(host.datastores, body)
    },
  )
}

function requireSameVm(vmId: string, vm: VmAuthority): void {
  if (vm.vmId === vmId) return
  throw new RestError(400, 'invalid-request', 'vmId: path and body name different VMs', { field: 'vmId' })
}
