import { Type } from 'typebox'
import type { Platform } from '../app/platform.ts'
import type { Routes } from './routes.ts'

const Health = Type.Object({ status: Type.Literal('ok') })

/** For whoever supervises the process. */
export function healthRoutes({ checkReady }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/livez',
      config: { access: 'public' },
      schema: { tags: ['health'], summary: 'The process answers', response: { 200: Health } },
      handler: async () => ({ status: 'ok' as const }),
    })
    server.route({
      method: 'GET',
      url: '/readyz',
      config: { access: 'public' },
      schema: { tags: ['health'], summary: 'The database answers too', response: { 200: Health } },
      handler: async () => {
        await checkReady()
        return { status: 'ok' as const }
      },
    })
  }
}
