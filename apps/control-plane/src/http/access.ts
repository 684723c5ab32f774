import type { Privilege } from '@cryptvisor/control-plane-api'
import { ErrorBody, type RestServer } from '@cryptvisor/rest'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { lacks, requirePrivileges } from '../app/access-control.ts'
import type { Bearers, Caller } from '../app/bearers.ts'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import type { Objects } from '../app/inventory/objects.ts'
import { eachListed, type RouteObject } from './objects.ts'
import type { Access } from './routes.ts'

/** The error body without its `$id`: a schema with one may be in a server only once. */
export const ErrorAnswer = Type.Object(ErrorBody.properties, { description: 'What was wrong, and what to do next' })

/**
 * Makes each route ask for what it declares (`Access`): 401 for nobody, 403 for somebody who lacks a privilege, 404 for an
 * object that they may not see. Where the path names the object that is before a body is read; where the body does, whoever
 * has the privilege nowhere is refused before. Routes that are added after this and declare nothing are refused when they
 * are added. To be called before routes are added. The answer gives who asks, `null` while that is not known.
 */
export function guardRoutes(
  server: RestServer,
  bearers: Bearers,
  objects: Objects,
): (request: FastifyRequest) => Caller | null {
  const callers = new WeakMap<object, Caller>()
  /** Requests that may be a repetition of the one that removed their object: `guardRepeats` decides before these count. */
  const gone = new WeakMap<object, ControlPlaneError>()
  const callerOf = (request: object): Caller => {
    const caller = callers.get(request)
    if (caller === undefined) throw new Error('a public route asked who calls')
    return caller
  }
  server.decorateRequest('principal', {
    getter() {
      return callerOf(this)
    },
  })
  server.addHook('onRoute', (route) => {
    const { access, on, also = [] } = route.config ?? {}
    if (access === undefined) throw new Error(`${String(route.method)} ${route.url} does not say who may use it`)
    route.schema = {
      ...route.schema,
      ...(access === 'public' ? { security: [] } : {}),
      ...(typeof access === 'string' ? {} : { 'x-privileges': access, 'x-object': objectText(on) }),
      ...(also.length === 0 ? {} : { 'x-also': also }),
      // Fastify’s type for this member is `unknown`; ours are objects by status.
      response: { ...(route.schema?.response as object), '4xx': ErrorAnswer, '5xx': ErrorAnswer },
    }
    const { handler } = route
    route.handler = function found(request, reply) {
      const failure = gone.get(request)
      if (failure !== undefined) throw failure
      return handler.call(this, request, reply)
    }
  })
  const requireOn = async (on: RouteObject, request: FastifyRequest, caller: Caller, needed: readonly Privilege[]) => {
    try {
      const path = await on.find(objects, request, caller)
      if (path !== null) requirePrivileges(caller, needed, path)
    } catch (error) {
      const mayBeRepeated = request.headers['idempotency-key'] !== undefined
      if (!(mayBeRepeated && error instanceof ControlPlaneError && error.code === 'not-found')) throw error
      gone.set(request, error)
    }
  }
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
    if (caller.lacksSecondFactor && request.routeOptions.config.beforeSecondFactor !== true) {
      throw new ControlPlaneError(
        'second-factor-required',
        'a second factor is required of you: set one up with `user totp enroll`, then everything works again',
      )
    }
    if (access === 'logged-in') return
    const { on } = request.routeOptions.config
    if (on === undefined) {
      requirePrivileges(caller, access)
      return
    }
    requireSomewhere(caller, access, objectText(on))
    if (on !== eachListed && on.from === 'path') await requireOn(on, request, caller, access)
  })
  server.addHook('preHandler', async (request) => {
    const { access, on } = request.routeOptions.config
    if (on === undefined || on === eachListed || on.from !== 'body' || typeof access !== 'object') return
    await requireOn(on, request, callerOf(request), access)
  })
  return (request) => callers.get(request) ?? null
}

/** Says nothing of objects: whoever has a privilege nowhere need not know which there are. */
function requireSomewhere(caller: Caller, privileges: readonly Privilege[], where: string): void {
  for (const privilege of privileges) {
    if (!caller.canSomewhere(privilege)) throw lacks(caller.name, privilege, where)
  }
}

/** In words. */
function objectText(on: RouteObject | typeof eachListed | undefined): string {
  if (on === undefined) return 'the root'
  return on === eachListed ? on : on.text
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
