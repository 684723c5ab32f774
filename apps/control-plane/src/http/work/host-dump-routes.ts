import type { Readable } from 'node:stream'
import { HostDumpList } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { HostDumps } from '../../app/work/hosts/host-dumps.ts'
import { theHost } from '../objects.ts'
import { ByName } from '../parameters.ts'
import type { Routes } from '../routes.ts'
import { untilClosed } from '../until-closed.ts'

const ByDump = Type.Object({ ...ByName.properties, dump: Type.String({ minLength: 1, maxLength: 100 }) })

/** Core dumps that lie sealed on hosts. */
export function hostDumpRoutes(dumps: HostDumps): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/hosts/:name/dumps',
      config: { access: ['Global.Diagnostics'], on: theHost },
      schema: {
        tags: ['hosts'],
        summary: 'The core dumps that lie on a host, sealed to its host key',
        params: ByName,
        response: { 200: HostDumpList },
      },
      handler: async ({ params }) => ({ dumps: await dumps.list(params.name) }),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/dumps/:dump/open',
      config: { access: ['Global.Diagnostics', 'Cryptographer.Access'], on: theHost, idempotencyKey: false },
      schema: {
        tags: ['hosts'],
        summary:
          'Read a core dump of a host out, opened with the host key that it was sealed to (application/octet-stream)',
        params: ByDump,
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } } },
      },
      handler: async ({ params, principal }, reply) => {
        const gone = untilClosed(reply.raw)
        const { content, sizeBytes } = await dumps.open(principal, params.name, params.dump, gone)
        return reply.type('application/octet-stream').header('content-length', sizeBytes).send(content)
      },
    })
  }
}
