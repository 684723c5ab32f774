import type { RestServer } from '@cryptvisor/rest'
import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import type { Routes } from './routes.ts'

/** For Prometheus, which shows an API token. */
export function metricsRoutes({ metrics }: Pick<Platform, 'metrics'>): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/metrics',
      config: { access: ['Global.Health'] },
      schema: {
        tags: ['health'],
        summary: 'Metrics in the text format of Prometheus',
        response: { 200: { content: { 'text/plain': { schema: Type.String() } } } },
      },
      handler: async (_request, reply) => reply.type(metrics.contentType).send(await metrics.read()),
    })
  }
}

/** Notes how long each request took, by its route. */
export function measureRequests(server: RestServer, { metrics }: Pick<Platform, 'metrics'>): void {
  server.addHook('onResponse', async ({ method, routeOptions }, { statusCode, elapsedTime }) => {
    metrics.answered({ method, route: routeOptions.url ?? null, status: statusCode, seconds: elapsedTime / 1000 })
  })
}
