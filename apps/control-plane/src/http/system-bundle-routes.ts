import { addAbortListener } from 'node:events'
import { Readable } from 'node:stream'
import { SupportBundlePlan, TakeSystemBundle } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import type { Routes } from './routes.ts'
import { untilClosed } from './until-closed.ts'

/** How long whoever reads a bundle may take nothing of it, before it is let go of. */
const stallMs = 120_000

/** Support bundles of the control plane. */
export function systemBundleRoutes({ bundles }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/system/support-bundle',
      config: { access: ['Global.Diagnostics'] },
      schema: {
        tags: ['system'],
        summary: 'What a support bundle of the control plane would have',
        response: { 200: SupportBundlePlan },
      },
      handler: async () => bundles.plan(),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/system/support-bundle',
      config: { access: ['Global.Diagnostics'], idempotencyKey: false },
      schema: {
        tags: ['system'],
        summary:
          'Make a support bundle of the control plane, and read it out as it is made (application/octet-stream, chunked)',
        body: TakeSystemBundle,
        response: { 200: { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } } },
      },
      handler: async ({ body, principal }, reply) => {
        const stream = Readable.from(await bundles.take(principal, body), { objectMode: false })
        reply.raw.setTimeout(stallMs, () => reply.raw.destroy())
        addAbortListener(untilClosed(reply.raw), () => {
          stream.destroy()
          bundles.over()
        })
        return reply.type('application/octet-stream').send(stream)
      },
    })
  }
}
