import { Readable } from 'node:stream'
import { SupportBundlePlan, supportBundleRequestSizeMax, TakeSupportBundle } from '@cryptvisor/host-agent-api'
import type { RestServer } from '@cryptvisor/rest'
import { defaultBundleLimits } from '@cryptvisor/support-bundle'
import { Type } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { type HostBundleSources, hostBundleParts, takeHostBundle } from '../support/host-bundle.ts'

const Bytes = { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable>({}) } } }

/** `/v1/support-bundle`: what support asks for, of this host. One is made at a time. */
export function addSupportBundleRoutes(app: RestServer, sources: HostBundleSources): void {
  let isBusy = false

  app.post(
    '/v1/support-bundle/plan',
    {
      bodyLimit: supportBundleRequestSizeMax,
      schema: { body: TakeSupportBundle, response: { 200: SupportBundlePlan } },
    },
    async ({ body }) => ({
      hostKey: sources.keys.hostKey,
      files: hostBundleParts(sources, body).map(({ name, about }) => ({ name, about })),
      fileSizeMax: defaultBundleLimits.fileSizeMax,
      sizeMax: defaultBundleLimits.sizeMax,
    }),
  )

  app.post(
    '/v1/support-bundle',
    { bodyLimit: supportBundleRequestSizeMax, schema: { body: TakeSupportBundle, response: { 200: Bytes } } },
    async ({ body }, reply) => {
      if (isBusy) throw new AgentError('too-many', 'a support bundle of this host is being made: try again later')
      const content = Readable.from(takeHostBundle(sources, body, Date.now()), { objectMode: false })
      isBusy = true
      reply.raw.once('close', () => {
        isBusy = false
        content.destroy()
      })
      return reply.type('application/octet-stream').send(content)
    },
  )
}
