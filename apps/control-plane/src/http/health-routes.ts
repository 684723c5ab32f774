import { ReadinessCheck } from '@cryptvisor/control-plane-api'
import { Live } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import { bearerOf } from './access.ts'
import type { Routes } from './routes.ts'

const Ready = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('not-ready')]),
  checks: Type.Optional(Type.Array(ReadinessCheck, { description: 'For whoever is logged in' })),
})

/** For whoever supervises the process. */
export function healthRoutes({ readiness, bearers }: Pick<Platform, 'readiness' | 'bearers'>): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/livez',
      config: { access: 'public' },
      schema: { tags: ['health'], summary: 'The process answers', response: { 200: Live } },
      handler: async () => ({ status: 'ok' as const }),
    })
    server.route({
      method: 'GET',
      url: '/readyz',
      config: { access: 'public' },
      schema: {
        tags: ['health'],
        summary: 'The control plane can do its work; else 503. What is wrong is for whoever shows a token',
        response: { 200: Ready, 503: Ready },
      },
      handler: async ({ headers }, reply) => {
        const checks = await readiness.checks()
        const ok = checks.every((check) => check.ok)
        // Where the database does not answer nobody is known.
        const caller = await bearerOf(bearers, headers.authorization).catch(() => null)
        return reply
          .code(ok ? 200 : 503)
          .send({ status: ok ? 'ok' : 'not-ready', ...(caller === null ? {} : { checks }) })
      },
    })
  }
}
