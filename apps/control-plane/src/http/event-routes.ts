import { Readable } from 'node:stream'
import { EventList, Severity } from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import { followEvents } from '../app/event-stream.ts'
import { type EventLog, eventsPerAnswerMax } from '../app/events.ts'
import type { Scope } from '../app/permissions/scope.ts'
import type { Platform } from '../app/platform.ts'
import { eachListed } from './objects.ts'
import { moment } from './parameters.ts'
import type { Routes } from './routes.ts'
import { untilClosed } from './until-closed.ts'

const limitDefault = 100

/** How many streams of events are open at once at most, of all users. */
const streamsMax = 1000
const Text = Type.String({ maxLength: 80 })

const EventQuery = Type.Object(
  {
    type: Type.Optional(Text),
    vm: Type.Optional(Text),
    host: Type.Optional(Text),
    severity: Type.Optional(Severity),
    user: Type.Optional(Text),
    since: Type.Optional(Text),
    until: Type.Optional(Text),
    before: Type.Optional(Type.Integer({ minimum: 1, description: 'Only events before this one' })),
    after: Type.Optional(Type.Integer({ minimum: 0, description: 'Only events after this one, the oldest first' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: eventsPerAnswerMax })),
  },
  { additionalProperties: false },
)

/** Events, as a list and as they happen. */
export function eventRoutes({ events, bearers, scopes }: Platform): Routes {
  let streamCount = 0
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/events',
      config: { access: ['System.Read'], on: eachListed },
      schema: {
        tags: ['events'],
        summary: 'Events, the newest first unless `after` is given',
        querystring: EventQuery,
        response: { 200: EventList },
      },
      handler: async ({ query: { since, until, ...query }, principal }) => {
        const scope = await scopes.of(principal, 'System.Read')
        const times = { since: moment('since', since), until: moment('until', until) }
        return { events: await events.list({ limit: limitDefault, ...query, ...times, scope }) }
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/events/stream',
      exposeHeadRoute: false,
      config: { access: ['System.Read'], on: eachListed },
      schema: {
        tags: ['events'],
        summary: 'Events as they happen (server-sent events); begins after Last-Event-ID where that is given',
        headers: Type.Object({ 'last-event-id': Type.Optional(Type.Integer({ minimum: 0 })) }),
        response: { 200: { content: { 'text/event-stream': { schema: Type.Unsafe<Readable>({ type: 'string' }) } } } },
      },
      handler: async ({ headers, principal }, reply) => {
        if (streamCount >= streamsMax) {
          throw new ControlPlaneError(
            'too-busy',
            'too many streams of events are open: ask for the list of events instead',
          )
        }
        const closed = untilClosed(reply.raw)
        if (!closed.aborted) {
          streamCount++
          closed.addEventListener('abort', () => streamCount--, { once: true })
        }
        const after = headers['last-event-id'] ?? (await events.lastId())
        const maySee = async () => {
          const caller = await bearers.refresh(principal)
          return caller?.canSomewhere('System.Read') === true ? scopes.of(caller, 'System.Read') : null
        }
        return reply
          .type('text/event-stream')
          .header('cache-control', 'no-store')
          .send(Readable.from(serverSentEvents(events, after, maySee, closed)))
      },
    })
  }
}

/** WHATWG HTML, 9.2.6; ends when the reader may not read on: logged out, expired, another role. */
async function* serverSentEvents(
  events: EventLog,
  after: number,
  maySee: () => Promise<Scope | null>,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  // Without a first line the reader would not know that it is listening.
  yield ': listening\n\n'
  for await (const event of followEvents(events, after, maySee, signal)) {
    yield event === null ? ': nothing new\n\n' : `id: ${event.id}\ndata: ${JSON.stringify(event)}\n\n`
  }
}
