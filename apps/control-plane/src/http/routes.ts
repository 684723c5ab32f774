import type { Privilege } from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import type { Caller } from '../app/bearers.ts'
import type { ContentRule } from '../app/content-rules.ts'
import type { eachListed, RouteObject } from './objects.ts'

/**
 * Who may use a route: whoever has all of these privileges, whoever is logged in, or everybody. Each route declares it
 * as `config: { access }`; one that does not keeps the server from starting. `on` says on which object the privileges are
 * asked, the root when it is left out; `also` what else business code asks for, depending on the request.
 *
 * ```ts
 * server.route({
 *   method: 'POST',
 *   url: '/api/v1/vms/:vm/clone',
 *   config: { access: ['VirtualMachine.Provisioning.Clone'], on: theVm, also: [contentRules.cloneEncrypted] },
 *   schema: { tags: ['vms'], summary: 'Clone a VM', params: ByVm, body: CloneVm, response: { 202: TaskStarted } },
 *   handler: async (request, reply) => reply.code(202).send(await work.cloneVm(request.principal, …)),
 * })
 * ```
 *
 * Bearer security, the answers to errors, `x-privileges`, `x-object` and `x-also` are added to the route's OpenAPI entry by
 * the server; `docs/privileges.md` is made from them.
 */
export type Access = readonly [Privilege, ...Privilege[]] | 'logged-in' | 'public'

/** Adds the routes of one resource to the server for users. */
export type Routes = (server: RestServer) => void

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    on?: RouteObject | typeof eachListed
    also?: readonly ContentRule[]
    /**
     * Whether it can be done as a dry run: everything that the handler does lies in the database, or is left out where
     * `isRehearsed` says so.
     */
    rehearse?: boolean
    /** Works in sessions that have to set up a second factor before anything else (`second-factor/login-rule.ts`). */
    beforeSecondFactor?: boolean
    /** `false`: takes no `Idempotency-Key`, since the request or its answer holds a secret, which is not kept. */
    idempotencyKey?: boolean
  }
  interface FastifyRequest {
    /** Who asks; reading it on a `public` route is a fault of ours and throws. */
    readonly principal: Caller
  }
}
