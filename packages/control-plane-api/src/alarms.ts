import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

export const AlarmSeverity = Type.Union([Type.Literal('yellow'), Type.Literal('red')])
export type AlarmSeverity = Static<typeof AlarmSeverity>

export const AlarmState = Type.Union([Type.Literal('raised'), Type.Literal('acknowledged'), Type.Literal('cleared')])
export type AlarmState = Static<typeof AlarmState>

/** That something is not as it should be: once for each definition and object, until its cause is gone. */
export const Alarm = Type.Object({
  id: Type.String(),
  definition: Type.String(),
  objectKind: Type.String({ description: 'vm, host, key, key-provider, notification or system' }),
  object: Type.String({ description: 'Its name; a key as provider/key ID' }),
  severity: AlarmSeverity,
  state: AlarmState,
  text: Type.String(),
  /** What to do. */
  advice: Type.String(),
  count: Type.Integer({ description: 'How often its cause was reported' }),
  raisedAt: Time,
  lastAt: Time,
  acknowledgedAt: Nullable(Time),
  acknowledgedBy: Nullable(Type.String()),
  clearedAt: Nullable(Time),
  clearedBy: Nullable(Type.String({ description: '`system`: by itself, since the cause is gone' })),
})
export type Alarm = Static<typeof Alarm>
export const AlarmList = Type.Object({ alarms: Type.Array(Alarm) })

export const AlarmDefinition = Type.Object({
  name: Type.String(),
  title: Type.String(),
  severity: AlarmSeverity,
  objectKind: Type.String(),
  raisedBy: Type.Array(Type.String(), { description: 'Event types' }),
  clearedBy: Type.Array(Type.String(), { description: 'Event types' }),
  watched: Type.Boolean({ description: 'Whether the state itself is looked at, each minute' }),
  advice: Type.String(),
  enabled: Type.Boolean(),
  threshold: Nullable(Type.Integer()),
  unit: Nullable(Type.String({ description: 'Of the threshold' })),
})
export type AlarmDefinition = Static<typeof AlarmDefinition>
export const AlarmDefinitionList = Type.Object({ definitions: Type.Array(AlarmDefinition) })

/** Switches a definition off or on, or sets its threshold; `null`: back to its default. */
export const ChangeAlarmDefinition = Type.Object(
  {
    enabled: Type.Optional(Type.Boolean()),
    threshold: Type.Optional(Nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 }))),
  },
  { additionalProperties: false },
)
export type ChangeAlarmDefinition = Static<typeof ChangeAlarmDefinition>

export interface AlarmQuery {
  readonly state?: string
  readonly severity?: string
  readonly object?: string
  readonly all?: boolean
  readonly limit?: number
}

/** For how many days events and cleared alarms are kept; `null`: for ever. */
export const Retention = Type.Object(
  {
    eventDays: Nullable(Type.Integer({ minimum: 1, maximum: 36_500 })),
    alarmDays: Nullable(Type.Integer({ minimum: 1, maximum: 36_500 })),
  },
  { additionalProperties: false },
)
export type Retention = Static<typeof Retention>

/** Removes events that are older than this. */
export const PruneEvents = Type.Object({ before: Time }, { additionalProperties: false })
export const PrunedEvents = Type.Object({ removed: Type.Integer(), kept: Type.Integer() })
export type PrunedEvents = Static<typeof PrunedEvents>
