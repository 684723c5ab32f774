import type { Privilege } from '@cryptvisor/control-plane-api'
import type { RestServer } from '@cryptvisor/rest'
import type { Caller } from '../app/bearers.ts'

/**
 * Who may use a route: whoever has all of these privileges, whoever is logged in, or everybody. Each route declares it
 * as `config: { access }`; one that does not keeps the server from starting.
 *
 * ```ts
 * server.route({
 *   method: 'POST',
 *   url: '/api/v1/clusters',
 *   config: { access: ['Host.Inventory.CreateCluster'] },
 *   schema: { tags: ['clusters'], summary: 'Make a cluster', body: CreateCluster, response: { 201: Cluster } },
 *   handler: async (request, reply) => reply.code(201).send(await clusters.create(request.body, request.principal)),
 * })
 * ```
 *
 * Bearer security, the answers to errors and `x-privileges` are added to the route's OpenAPI entry by the server.
 */
export type Access = readonly [Privilege, ...Privilege[]] | 'logged-in' | 'public'

/** Adds the routes of one resource to the server for users. */
export type Routes = (server: RestServer) => void

declare module 'fastify' {
  interface FastifyContextConfig {
    access?: Access
    /**
     * Whether it can be done as a dry run: everything that the handler does lies in the database, or is left out where
     * `isRehearsed` says so.
     */
    rehearse?: boolean
    /** `false`: takes no `Idempotency-Key`, since the request or its answer holds a secret, which is not kept. */
    idempotencyKey?: boolean
  }
  interface FastifyRequest {
    /** Who asks; reading it on a `public` route is a fault of ours and throws. */
    readonly principal: Caller
  }
}
