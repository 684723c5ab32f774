import type { RestServer } from '@cryptvisor/rest'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Kysely } from 'kysely'
import { type TSchema, Type } from 'typebox'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import { type Effect, rehearseRequest } from '../app/rehearsal.ts'
import type { EarlierAnswer, KeyedRequest, RequestKeys } from '../app/request-keys.ts'
import { getTask } from '../app/work/tasks/task-store.ts'
import { taskView } from '../app/work/tasks/task-view.ts'
import type { Schema } from '../database/schema.ts'

const changing: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH', 'DELETE'])

const json = 'application/json; charset=utf-8'

const dryRun = Type.Optional(
  Type.Boolean({ description: 'Check everything, change nothing, and answer 200 with a `Rehearsal`' }),
)

const idempotencyKey = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 128,
    pattern: '^[!-~]+$',
    description: 'Chosen by the sender, another for each request: sent again, it is answered again and not done again',
  }),
)

/**
 * Gives changing routes a dry run (`?dryRun=true`, where a route declares `rehearse`), and requests that are sent again
 * their first answer (`Idempotency-Key`, unless a route declares `idempotencyKey: false`). To be called before routes
 * are added.
 */
export function guardRepeats(server: RestServer, database: Kysely<Schema>, requestKeys: RequestKeys): void {
  const rehearsed = new WeakMap<FastifyRequest, Effect[]>()
  const keyed = new WeakMap<FastifyRequest, KeyedRequest>()

  server.addHook('onRoute', (route) => {
    const methods = [route.method].flat()
    if (!methods.some((method) => changing.has(method))) return
    const { rehearse = false, idempotencyKey: takesKey = true } = route.config ?? {}
    // Fastify's types for these members are `unknown`; ours are objects of TypeBox.
    const { querystring, headers } = (route.schema ?? {}) as { querystring?: Members; headers?: Members }
    route.schema = {
      ...route.schema,
      ...(rehearse ? { querystring: Type.Object({ ...querystring?.properties, dryRun }, strict) } : {}),
      ...(takesKey
        ? { headers: Type.Object({ ...headers?.properties, 'idempotency-key': idempotencyKey }, open) }
        : {}),
    }
    const { handler } = route
    route.handler = async function answered(request, reply) {
      const carryOut = async () => handler.call(this, request, reply)
      if (asksDryRun(request)) {
        if (!rehearse) throw noDryRun
        if (isDryRun(request)) return rehearseOne(request, carryOut)
      }
      const key = request.headers['idempotency-key']
      if (typeof key !== 'string') return carryOut()
      if (!takesKey) throw refusal('this request takes none, since it has, or is answered with, a secret')
      return answerOnce(request, reply, key, carryOut)
    }
  })

  server.addHook('onSend', async (request, reply, payload) => {
    const effects = rehearsed.get(request)
    const known = keyed.get(request)
    const text = typeof payload === 'string' ? payload : null
    if (effects !== undefined && reply.statusCode < 400) {
      reply.code(200).header('content-type', json).removeHeader('content-length')
      return JSON.stringify({ dryRun: true, effects, answer: text === null ? null : JSON.parse(text) })
    }
    if (known !== undefined) {
      keyed.delete(request)
      if (reply.statusCode < 400) await requestKeys.finish(known, reply.statusCode, text)
      else await requestKeys.forget(known)
    }
    return payload
  })

  async function rehearseOne(request: FastifyRequest, carryOut: () => Promise<unknown>): Promise<unknown> {
    const effects: Effect[] = []
    // The handler may send its answer itself.
    rehearsed.set(request, effects)
    return rehearseRequest(database, effects, carryOut)
  }

  async function answerOnce(
    request: FastifyRequest,
    reply: FastifyReply,
    key: string,
    carryOut: () => Promise<unknown>,
  ): Promise<unknown> {
    const keyedRequest = { user: request.principal.name, key }
    const body = request.body === undefined ? '' : JSON.stringify(request.body)
    const earlier = await requestKeys.begin(keyedRequest, [request.method, request.url, body])
    if (earlier !== null) return replay(reply, earlier)
    keyed.set(request, keyedRequest)
    return requestKeys.carryOut(keyedRequest, carryOut)
  }

  async function replay(reply: FastifyReply, earlier: EarlierAnswer): Promise<unknown> {
    reply.header('idempotency-replayed', 'true')
    if (earlier.kind === 'task') {
      return reply.code(202).send({ task: taskView(await getTask(database, earlier.taskId), null) })
    }
    if (earlier.text !== null) reply.header('content-type', json)
    return reply.code(earlier.status).send(earlier.text)
  }
}

interface Members {
  readonly properties?: Readonly<Record<string, TSchema>>
}

const strict = { additionalProperties: false } as const
/** Clients and proxies send what they like. */
const open = { additionalProperties: true } as const

/** Refused where there is none, whatever its value: otherwise the request would be carried out. */
const asksDryRun = ({ query }: FastifyRequest) => typeof query === 'object' && query !== null && 'dryRun' in query

function isDryRun(request: FastifyRequest): boolean {
  // Checked by the route's schema where it has one; routes without it take no query.
  return (request.query as { dryRun?: unknown } | undefined)?.dryRun === true
}

const noDryRun = new ControlPlaneError(
  'invalid',
  'dryRun: there is no dry run of this request, since it does more than the database can take back',
  { field: 'dryRun' },
)

function refusal(why: string): ControlPlaneError {
  return new ControlPlaneError('invalid', `Idempotency-Key: ${why}`, { field: 'Idempotency-Key' })
}
