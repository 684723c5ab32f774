import {
  Alarm,
  AlarmDefinition,
  AlarmDefinitionList,
  AlarmList,
  AlarmSeverity,
  AlarmState,
  ChangeAlarmDefinition,
  PrunedEvents,
  PruneEvents,
  Retention,
} from '@cryptvisor/control-plane-api'
import { Type } from 'typebox'
import { alarmsPerAnswerMax } from '../app/alarms/alarms.ts'
import { ControlPlaneError } from '../app/control-plane-error.ts'
import type { Platform } from '../app/platform.ts'
import { ById, ByName, moment } from './parameters.ts'
import type { Routes } from './routes.ts'

const AlarmQuery = Type.Object(
  {
    state: Type.Optional(AlarmState),
    severity: Type.Optional(AlarmSeverity),
    object: Type.Optional(Type.String({ maxLength: 340 })),
    all: Type.Optional(Type.Boolean({ description: 'Cleared ones, too' })),
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: alarmsPerAnswerMax })),
  },
  { additionalProperties: false },
)

/** Alarms, their definitions, and how long events are kept. */
export function alarmRoutes({ alarms, retention, scopes }: Platform): Routes {
  return (server) => {
    server.route({
      method: 'GET',
      url: '/api/v1/alarms',
      config: { access: ['System.Read'] },
      schema: {
        tags: ['alarms'],
        summary: 'Alarms, red ones first',
        querystring: AlarmQuery,
        response: { 200: AlarmList },
      },
      handler: async ({ query, principal }) => {
        const scope = await scopes.of(principal, 'System.Read')
        return { alarms: await alarms.list({ limit: alarmsPerAnswerMax, ...query, scope, by: principal }) }
      },
    })
    server.route({
      method: 'GET',
      url: '/api/v1/alarms/:id',
      config: { access: ['System.Read'] },
      schema: { tags: ['alarms'], summary: 'An alarm', params: ById, response: { 200: Alarm } },
      handler: async ({ params, principal }) =>
        alarms.show(params.id, await scopes.of(principal, 'System.Read'), principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/alarms/:id/acknowledge',
      config: { access: ['Alarm.Acknowledge'], rehearse: true },
      schema: { tags: ['alarms'], summary: 'Say that somebody takes care', params: ById, response: { 200: Alarm } },
      handler: async ({ params, principal }) =>
        alarms.acknowledge(params.id, principal, await scopes.of(principal, 'System.Read')),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/alarms/:id/clear',
      config: { access: ['Alarm.SetStatus'], rehearse: true },
      schema: { tags: ['alarms'], summary: 'Clear an alarm by hand', params: ById, response: { 200: Alarm } },
      handler: async ({ params, principal }) =>
        alarms.clear(params.id, principal, await scopes.of(principal, 'System.Read')),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/alarm-definitions',
      config: { access: ['System.Read'] },
      schema: { tags: ['alarms'], summary: 'What raises and clears alarms', response: { 200: AlarmDefinitionList } },
      handler: async () => ({ definitions: await alarms.definitions() }),
    })
    server.route({
      method: 'PATCH',
      url: '/api/v1/alarm-definitions/:name',
      config: { access: ['Alarm.Edit', 'Alarm.DisableActions'], rehearse: true },
      schema: {
        tags: ['alarms'],
        summary: 'Switch a kind of alarm off or on, or set its threshold',
        params: ByName,
        body: ChangeAlarmDefinition,
        response: { 200: AlarmDefinition },
      },
      handler: async ({ params, body, principal }) => alarms.change(params.name, body, principal),
    })
    server.route({
      method: 'GET',
      url: '/api/v1/retention',
      config: { access: ['System.Read'] },
      schema: { tags: ['events'], summary: 'How long events and alarms are kept', response: { 200: Retention } },
      handler: async () => retention.show(),
    })
    server.route({
      method: 'PUT',
      url: '/api/v1/retention',
      config: { access: ['Global.Settings'], rehearse: true },
      schema: {
        tags: ['events'],
        summary: 'Say how long events and alarms are kept',
        body: Retention,
        response: { 200: Retention },
      },
      handler: async ({ body, principal }) => retention.set(body, principal),
    })
    server.route({
      method: 'POST',
      url: '/api/v1/events/prune',
      config: { access: ['Global.Settings'], rehearse: true },
      schema: {
        tags: ['events'],
        summary: 'Remove old events; the audit keeps them',
        body: PruneEvents,
        response: { 200: PrunedEvents },
      },
      handler: async ({ body, principal }) => {
        const before = moment('before', body.before)
        if (before === undefined) throw new ControlPlaneError('invalid', 'before: is missing', { field: 'before' })
        return retention.prune(before, principal)
      },
    })
  }
}
