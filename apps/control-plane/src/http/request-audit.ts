import type { RestServer } from '@cryptvisor/rest'
import type { FastifyRequest } from 'fastify'
import type { Audit, Origin } from '../app/audit/audit-entry.ts'
import type { Origins } from '../app/audit/origins.ts'
import type { Caller } from '../app/bearers.ts'
import type { Clock } from '../app/clock.ts'
import { EventAllowance } from '../app/event-allowance.ts'

const reading: ReadonlySet<string> = new Set(['GET', 'HEAD'])

/** Whoever only reads with these is on record, too: content in the clear, and the audit itself. */
const recordedReads: ReadonlySet<string> = new Set(['Cryptographer.Access', 'VApp.Export', 'Global.Diagnostics'])

/**
 * Records each request that changes something, reads what is secret, or was refused: before its answer is sent, so that
 * nobody learns of a change that is not on record. Strangers cannot fill the audit: beyond some a minute they are
 * counted. `callerOf` gives who asks, once that is known. To be called after the routes' guards.
 */
export function auditRequests(
  server: RestServer,
  audit: Audit,
  origins: Origins,
  callerOf: (request: FastifyRequest) => Caller | null,
  clock: Clock,
): void {
  const strangers = new EventAllowance(clock)
  server.addHook('preParsing', (request, _reply, payload, done) => {
    origins.run(originOf(request, callerOf(request)), () => done(null, payload))
  })
  server.addHook('onSend', async (request, reply, payload) => {
    const caller = callerOf(request)
    const refused = reply.statusCode === 401 || reply.statusCode === 403
    if (request.is404 || !(refused || isRecorded(request))) return payload
    const omittedCount = caller === null ? strangers.take(false) : 0
    if (omittedCount === null) return payload
    const { code, message } = reply.statusCode < 400 ? success : failureIn(payload)
    const notes = [
      ...(message === null ? [] : [message]),
      ...(isDryRun(request) ? ['dry run: nothing was changed'] : []),
      ...(omittedCount === 0 ? [] : [`${omittedCount} more requests of strangers were not recorded one by one`]),
    ]
    await audit.note({
      kind: 'request',
      user: caller?.name ?? '-',
      operation: `${request.method} ${request.routeOptions.url ?? ''}`,
      object: objectOf(request),
      privilege: privilegeOf(request),
      outcome: code,
      text: notes.length === 0 ? null : notes.join('; '),
      origin: originOf(request, caller),
    })
    return payload
  })
}

function isRecorded(request: FastifyRequest): boolean {
  if (!reading.has(request.method)) return true
  const { access } = request.routeOptions.config
  return Array.isArray(access) && access.some((privilege) => recordedReads.has(privilege))
}

function originOf(request: FastifyRequest, caller: Caller | null): Origin {
  const session = caller === null ? null : `${caller.bearer.kind} ${caller.bearer.id}`
  return { requestId: request.id, address: request.ip, session }
}

/** The path below the API’s root, and the name in the body: what is made has none in its path yet. Never a query. */
function objectOf({ url, body }: FastifyRequest): string {
  const path = decoded(url.split('?', 1)[0] ?? '').replace(/^\/api\/v\d+\//, '')
  const name = typeof body === 'object' && body !== null && 'name' in body ? body.name : null
  return typeof name === 'string' ? `${path} ${name}` : path
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

function privilegeOf({ routeOptions }: FastifyRequest): string | null {
  const { access } = routeOptions.config
  return Array.isArray(access) ? access.join(' ') : null
}

function isDryRun({ query }: FastifyRequest): boolean {
  return typeof query === 'object' && query !== null && 'dryRun' in query && query.dryRun === true
}

const success = { code: 'success', message: null }

/** The code and text of the error that is sent. */
function failureIn(payload: unknown): { readonly code: string; readonly message: string | null } {
  if (typeof payload !== 'string') return { code: 'error', message: null }
  // What our own error handler wrote.
  const { error } = JSON.parse(payload) as { error?: { code?: string; message?: string } }
  return { code: error?.code ?? 'error', message: error?.message ?? null }
}
