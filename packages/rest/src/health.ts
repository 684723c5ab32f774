import { Type } from 'typebox'
import type { RestServer } from './server.ts'

/** One thing that a program needs to do its work. */
export interface HealthCheck {
  readonly name: string
  readonly ok: boolean
  /** What is wrong, and what to do; empty: nothing. */
  readonly text: string
}

/** What `/livez` answers: the process answers. */
export const Live = Type.Object({ status: Type.Literal('ok') })

const Ready = Type.Object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('not-ready')]),
  checks: Type.Array(
    Type.Object({
      name: Type.String(),
      ok: Type.Boolean(),
      text: Type.String({ description: 'What is wrong, and what to do; empty: nothing' }),
    }),
  ),
})

/** Whether it is one of the addresses at which whoever supervises a program asks. */
export const isHealth = (url: string | undefined): boolean => url === '/livez' || url === '/readyz'

/** `/livez`, and `/readyz`: 200 where every check is good, else 503, with what is wrong. Who may ask is for the server to say. */
export function addHealthRoutes(
  app: RestServer,
  checks: () => readonly HealthCheck[] | Promise<readonly HealthCheck[]>,
): void {
  app.get('/livez', { schema: { response: { 200: Live } } }, async () => ({ status: 'ok' as const }))
  app.get('/readyz', { schema: { response: { 200: Ready, 503: Ready } } }, async (_request, reply) => {
    const found = [...(await checks())]
    const ok = found.every((check) => check.ok)
    return reply.code(ok ? 200 : 503).send({ status: ok ? 'ok' : 'not-ready', checks: found })
  })
}
