import { Readable } from 'node:stream'
import { AuditCheck, AuditCheckpoint, AuditList, AuditRecord, PruneAudit } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { auditExport } from '../app/audit/audit-export.ts'
import { recordsPerAnswerMax } from '../app/audit/audit-log.ts'
import type { Platform } from '../app/platform.ts'
import { moment } from './parameters.ts'
import type { Routes } from './routes.ts'
import { untilClosed } from './until-closed.ts'

const limitDefault = 100
const Text = Type.String({ maxLength: 256 })

const AuditQuery = Type.Object(
  {
    user: Type.Optional(Text),
    kind: Type.Optional(AuditRecord.properties.kind),
    keyId: Type.Optional(Text),
    outcome: Type.Optional(Text),
    since: Type.Optional(Text),
    until: Type.Optional(Text),
    before: Type.Optional(Type.Integer({ minimum: 1, description: 'Only records before this one' })),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'Only records after this one, the oldest first' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: recordsPerAnswerMax })),
  },
  { additionalProperties: false },
)

/** The audit: to read, to check, to export, and to let go of what was exported. */
export function auditRoutes({ auditLog, auditWatch }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/audit',
      config: { access: ['Global.Diagnostics'] },
      schema: {
        tags: ['audit'],
        summary: 'Records of the audit, the newest first unless `after` is given',
        querystring: AuditQuery,
        response: { 200: AuditList },
      },
      handler: async ({ query: { since, until, ...query } }) => ({
        records: await auditLog.list({
          limit: limitDefault,
          ...query,
          since: moment('since', since),
          until: moment('until', until),
        }),
      }),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/audit/check',
      exposeHeadRoute: false,
      config: { access: ['Global.Diagnostics'] },
      schema: {
        tags: ['audit'],
        summary: 'Walk along the whole chain of the audit and say whether it is whole',
        response: { 200: AuditCheck },
      },
      handler: async () => auditWatch.check(),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/audit/export',
      exposeHeadRoute: false,
      config: { access: ['Global.Diagnostics'] },
      schema: {
        tags: ['audit'],
        summary: 'The whole audit as JSON lines: where it begins, its records, its signed head',
        response: {
          200: { content: { 'application/x-ndjson': { schema: Type.Unsafe<Readable>({ type: 'string' }) } } },
        },
      },
      handler: async (_request, reply) =>
        reply.type('application/x-ndjson').send(Readable.from(auditExport(auditLog, untilClosed(reply.raw)))),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/audit/prune',
      config: { access: ['Global.Diagnostics', 'Global.Settings'], rehearse: true },
      schema: {
        tags: ['audit'],
        summary: 'Remove exported records; a signed checkpoint stands for them',
        body: PruneAudit,
        response: { 200: AuditCheckpoint },
      },
      handler: async ({ body, principal }) => auditLog.prune(body, principal),
    })
  }
}
