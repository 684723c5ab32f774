import { Readable } from 'node:stream'
import { CoverageFormat } from '@cryptvisor/control-plane-api'
import type { Kysely } from 'kysely'
import { Type } from 'typebox'
import type { Clock } from '../app/clock.ts'
import type { Scopes } from '../app/permissions/scope.ts'
import { coverageReport } from '../app/reports/coverage-report.ts'
import { coverageTexts } from '../app/reports/coverage-text.ts'
import type { Schema } from '../database/schema.ts'
import type { Routes } from './routes.ts'

/** Reports over the whole inventory, which come piece by piece. */
export function reportRoutes({
  database,
  clock,
  scopes,
}: {
  readonly database: Kysely<Schema>
  readonly clock: Clock
  readonly scopes: Scopes
}): Routes {
  const text = { schema: Type.Unsafe<Readable>({}) }
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/reports/coverage',
      config: { access: ['System.Read'] },
      schema: {
        tags: ['reports'],
        summary:
          'Which part of which VM is protected by which key (CoverageReport), plain ones first: as JSON, CSV (RFC 4180) or a page to print',
        querystring: Type.Object({ format: Type.Optional(CoverageFormat) }, { additionalProperties: false }),
        response: { 200: { content: { 'application/json': text, 'text/csv': text, 'text/html': text } } },
      },
      handler: async ({ query, principal }, reply) => {
        const { format = 'json' } = query
        const scope = await scopes.of(principal, 'System.Read')
        return reply
          .type(coverageTexts[format].contentType)
          .header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'")
          .send(Readable.from(coverageReport(database, clock, format, scope)))
      },
    })
  }
}
