import type { RestServer } from '@cryptvisor/rest'

/** Logs each answered request: who, which route, how it ended. Never a path as it came, a query, a header or a body. */
export function logRequests(server: RestServer): void {
  server.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url ?? null,
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime),
        from: request.ip,
      },
      'answered',
    )
  })
}
