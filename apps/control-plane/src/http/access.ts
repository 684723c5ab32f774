import { ErrorBody, type RestServer } from '@cryptvisor/rest'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { requirePrivileges } from '../app/access-control.ts'
import type { Bearers, Caller } from '../app/bearers.ts'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import type { Access } from './routes.ts'

/** The error body without its `$id`: a schema with one may be in a server only once. */
export const ErrorAnswer = Type.Object(ErrorBody.properties, { description: 'What was wrong, and what to do next' })

/**
 * Makes each route ask for what it declares (`Access`), before a body is read: 401 for nobody, 403 for somebody who
 * lacks a privilege. Routes that are added after this and declare nothing are refused when they are added. To be called
 * before routes are added.
 */
export function guardRoutes(server: RestServer, bearers: Bearers): void {
  const callers = new WeakMap<object, Caller>()
  server.decorateRequest('principal', {
    getter() {
      const caller = callers.get(this)
      if (caller === undefined) throw new Error('a public route asked who calls')
      return caller
    },
  })
  server.addHook('onRoute', (route) => {
    const access = route.config?.access
    if (access === undefined) throw new Error(`${String(route.method)} ${route.url} does not say who may use it`)
    route.schema = {
      ...route.schema,
      ...(access === 'public' ? { security: [] } : {}),
      ...(typeof access === 'string' ? {} : { 'x-privileges': access }),
      // Fastify’s type for this member is `unknown`; ours are objects by status.
      response: { ...(route.schema?.response as object), '4xx': ErrorAnswer, '5xx': ErrorAnswer },
    }
  })
  server.addHook('onRequest', async (request, reply) => {
    const access = accessOf(request)
    if (access === 'public') return
    const caller = await bearerOf(bearers, request.headers.authorization)
    if (caller === null) {
      reply.header('www-authenticate', 'Bearer')
      throw new ControlPlaneError(
        'not-logged-in',
        'log in first, or show an API token: it is missing, unknown or expired',
      )
    }
    callers.set(request, caller)
    request.log = request.log.child({ user: caller.name })
    if (access !== 'logged-in') requirePrivileges(caller, access)
  })
}

/** What does not exist and the OpenAPI document, which `buildServer` brings, have no declaration and are for everybody. */
function accessOf({ is404, routeOptions }: FastifyRequest): Access {
  if (routeOptions.config.access !== undefined) return routeOptions.config.access
  if (is404 || routeOptions.url === '/openapi.json') return 'public'
  throw new Error('a route does not say who may use it')
}

/** Who shows a bearer token (RFC 6750, 2.1); `null`: nobody. */
export async function bearerOf(bearers: Bearers, authorization: string | undefined): Promise<Caller | null> {
  const token = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1]
  return token === undefined ? null : bearers.authenticate(token)
}
