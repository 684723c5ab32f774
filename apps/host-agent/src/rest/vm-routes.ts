import type { Readable } from 'node:stream'
import { BackupHeader, ExportDisk, Id, LockState, VmAuthority, VmFiles } from '@cryptvisor/host-agent-api'
import { RestError, type RestServer } from '@cryptvisor/rest'
import { Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { listFiles } from '../datastore/list-files.ts'
import { backupDiskHeader } from '../operation/backup-header.ts'
import { sayingWhyBusy } from '../operation/busy-text.ts'
import { exportDisk } from '../operation/export-disk.ts'
import type { OperationHost } from '../operation/host.ts'
import { lockStateOf } from '../operation/lock-state.ts'

const Params = Type.Object({ vmId: Id })

/** How long whoever reads a disk may take nothing of it, before it is let go of: it keeps the VM locked. */
const exportStallMs = 600_000

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

  app.post(
    '/v1/vms/:vmId/export',
    {
      schema: {
        params: Params,
        body: ExportDisk,
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } } },
      },
    },
    async ({ params, body }, reply) => {
      requireSameVm(params.vmId, body.vm)
      const gone = new AbortController()
      reply.raw.once('close', () => gone.abort(new AgentError('cancelled', 'whoever asked for the disk went away')))
      reply.raw.setTimeout(exportStallMs, () => reply.raw.destroy())
      const { sizeBytes, stream } = await sayingWhyBusy(host.machines, body.vm, () =>
        exportDisk(host, body, gone.signal),
      )
      return reply.type('application/octet-stream').header('content-length', sizeBytes).send(stream)
    },
  )

  app.post(
    '/v1/vms/:vmId/header-backup',
    {
      schema: {
        params: Params,
        body: BackupHeader,
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Uint8Array>({}) } } } },
      },
    },
    async ({ params, body }, reply) => {
      requireSameVm(params.vmId, body.vm)
      const backup = await sayingWhyBusy(host.machines, body.vm, () => backupDiskHeader(host, body))
      return reply.type('application/octet-stream').send(backup)
    },
  )
}

function requireSameVm(vmId: string, vm: VmAuthority): void {
  if (vm.vmId === vmId) return
  throw new RestError(400, 'invalid-request', 'vmId: path and body name different VMs', { field: 'vmId' })
}
