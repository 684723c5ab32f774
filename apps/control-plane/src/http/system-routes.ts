import { Readable } from 'node:stream'
import { BackupSchedule, SetBackupSchedule, System } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import { Nothing } from './parameters.ts'
import type { Routes } from './routes.ts'

/** How long whoever reads a backup may take nothing of it, before it is let go of: one is made at a time. */
const stallMs = 120_000

/** The control plane itself: what it is, and its backups. */
export function systemRoutes({ system, backups }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/system',
      config: { access: ['Global.Health'] },
      schema: {
        tags: ['system'],
        summary: 'The control plane itself: installation, epoch, last backup, what keeps it from working',
        response: { 200: System },
      },
      handler: () => system.show(),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/system/settle',
      config: { access: ['Global.Settings', 'Cryptographer.ManageKeys'], rehearse: true },
      schema: {
        tags: ['system'],
        summary: 'After a restore: all was looked at that happened since the backup, keys may be destroyed again',
        response: { 200: System },
      },
      handler: ({ principal }) => system.settle(principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/system/backup',
      config: { access: ['Global.Settings'] },
      schema: {
        tags: ['system'],
        summary:
          'Read out a backup of the control plane, without its root key (application/octet-stream: a signed tar)',
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } } },
      },
      handler: async ({ principal }, reply) => {
        const backup = await backups.prepare(principal)
        reply.raw.setTimeout(stallMs, () => reply.raw.destroy())
        const content = async function* () {
          await using _backup = backup
          yield* backup.content()
          await backup.made()
        }
        const stream = Readable.from(content())
        // One that is given up before its first byte was asked for would never come to its end.
        reply.raw.once('close', () => void backup[Symbol.asyncDispose]())
        return reply.type('application/octet-stream').header('content-length', backup.sizeBytes).send(stream)
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/system/backup-schedule',
      config: { access: ['Global.Health'] },
      schema: {
        tags: ['system'],
        summary: 'When and where backups are made by themselves, and how the last one went',
        response: { 200: BackupSchedule },
      },
      handler: () => backups.schedule(),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/system/backup-schedule',
      config: { access: ['Global.Settings'], rehearse: true },
      schema: {
        tags: ['system'],
        summary: 'Have backups made by themselves',
        body: SetBackupSchedule,
        response: { 200: BackupSchedule },
      },
      handler: ({ body, principal }) => backups.setSchedule(body, principal),
    })
    server.route({
      method: 'DELETE',
      url: '/api/v1/system/backup-schedule',
      config: { access: ['Global.Settings'], rehearse: true },
      schema: {
        tags: ['system'],
        summary: 'Make no more backups; those that are there stay',
        response: { 204: Nothing },
      },
      handler: async ({ principal }, reply) => {
        await backups.clearSchedule(principal)
        return reply.code(204).send(null)
      },
    })
  }
}
