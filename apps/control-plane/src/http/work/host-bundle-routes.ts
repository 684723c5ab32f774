import { addAbortListener } from 'node:events'
import type { Readable } from 'node:stream'
import { OpenHostBundle, SupportBundlePlan, TakeHostBundle } from '@cryptvisor/control-plane-api'
import { secretBytes } from '@cryptvisor/secret'
import { bundleKeySizeBytes } from '@cryptvisor/support-bundle'
import { Type } from 'typebox'
import type { HostBundles } from '../../app/work/hosts/host-bundles.ts'
import { theHost } from '../objects.ts'
import { ByName } from '../parameters.ts'
import type { Routes } from '../routes.ts'
import { untilClosed } from '../until-closed.ts'

const Bytes = { content: { 'application/octet-stream': { schema: Type.Unsafe<Readable | Uint8Array>({}) } } }

/** Support bundles of hosts. */
export function hostBundleRoutes(bundles: HostBundles): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/hosts/:name/support-bundle',
      config: { access: ['Global.Diagnostics'], on: theHost },
      schema: {
        tags: ['hosts'],
        summary: 'What a support bundle of a host would have',
        params: ByName,
        response: { 200: SupportBundlePlan },
      },
      handler: ({ params, principal }) => bundles.plan(principal, params.name),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/support-bundle',
      config: { access: ['Global.Diagnostics'], on: theHost, idempotencyKey: false },
      schema: {
        tags: ['hosts'],
        summary: 'Have a host make a support bundle, and read it out as it is made (application/octet-stream, chunked)',
        params: ByName,
        body: TakeHostBundle,
        response: { 200: Bytes },
      },
      handler: async ({ params, body, principal }, reply) => {
        const content = await bundles.take(principal, params.name, body, untilClosed(reply.raw))
        return reply.type('application/octet-stream').send(content)
      },
    })
    server.route({
      method: 'POST',
      url: '/api/v1/hosts/:name/support-bundle/open',
      config: { access: ['Global.Diagnostics', 'Cryptographer.Access'], on: theHost, idempotencyKey: false },
      schema: {
        tags: ['hosts'],
        summary: 'Get the key of one support bundle that was sealed to a key of this host (application/octet-stream)',
        params: ByName,
        body: OpenHostBundle,
        response: { 200: Bytes },
      },
      handler: async ({ params, body, principal }, reply) => {
        using key = await bundles.open(principal, params.name, body.header)
        const bytes = secretBytes(bundleKeySizeBytes)
        key.expose((lent) => bytes.set(lent))
        addAbortListener(untilClosed(reply.raw), () => bytes.fill(0))
        return reply.type('application/octet-stream').header('content-length', bundleKeySizeBytes).send(bytes)
      },
    })
  }
}
