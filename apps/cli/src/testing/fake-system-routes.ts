import { BackupSchedule, SetBackupSchedule, System } from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import { cannedTime } from './canned.ts'
import type { FakeControlPlane } from './fake-control-plane.ts'

const schedule: BackupSchedule = {
  folder: null,
  intervalMinutes: null,
  keepCount: null,
  lastBackupAt: cannedTime,
  lastAttemptAt: null,
  lastFailure: null,
}

const system: System = {
  version: '1.0.0',
  installationId: '0190aaaa-0000-7000-8000-000000000001',
  epoch: 1,
  caFingerprint256: 'ab'.repeat(32),
  schema: '0110-installation',
  startedAt: cannedTime,
  restoredAt: cannedTime,
  restoredFrom: cannedTime,
  onHold: true,
  backup: schedule,
  checks: [
    { name: 'database', ok: true, text: null },
    { name: 'epoch', ok: false, text: 'host-a met a newer control plane' },
  ],
}

/** The routes of the control plane itself. */
export function addSystem(server: RestServer, made: Promise<FakeControlPlane>): void {
  const api = '/api/v1/system'
  server.get(api, { schema: { response: { 200: System } } }, async () => system)
  server.post(`${api}/settle`, { schema: { response: { 200: System } } }, async () => ({ ...system, onHold: false }))
  server.post(`${api}/backup`, async (_request, reply) => {
    const { exported, exportBreaksOff } = await made
    reply.type('application/octet-stream').header('content-length', exported.length)
    if (!exportBreaksOff) return reply.send(exported)
    reply.hijack()
    reply.raw.writeHead(200, { 'content-length': exported.length }).write(exported.subarray(1))
    reply.raw.destroy()
    return reply
  })
  server.get('/metrics', async (_request, reply) =>
    reply
      .type('text/plain')
      .send('# TYPE cryptvisor_vms gauge\ncryptvisor_vms{encryption="plain"} 3\ncryptvisor_disks 4\n'),
  )
  server.get(`${api}/backup-schedule`, { schema: { response: { 200: BackupSchedule } } }, async () => schedule)
  server.put(
    `${api}/backup-schedule`,
    { schema: { body: SetBackupSchedule, response: { 200: BackupSchedule } } },
    async ({ body }) => ({ ...schedule, ...body }),
  )
  server.delete(`${api}/backup-schedule`, async (_request, reply) => reply.code(204).send())
}
