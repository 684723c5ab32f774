import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

/** Backups that are made by themselves. All of the first three are `null` where there is no schedule. */
export const BackupSchedule = Type.Object({
  folder: Nullable(Type.String()),
  intervalMinutes: Nullable(Type.Number()),
  keepCount: Nullable(Type.Integer()),
  lastBackupAt: Nullable(Time),
  lastAttemptAt: Nullable(Time),
  lastFailure: Nullable(Type.String({ description: 'Why the last attempt failed; null: it did not' })),
})
export type BackupSchedule = Static<typeof BackupSchedule>

export const SetBackupSchedule = Type.Object(
  {
    folder: Type.String({
      minLength: 2,
      maxLength: 1024,
      pattern: '^/',
      description: 'Of the control plane’s machine, outside its data folder',
    }),
    intervalMinutes: Type.Integer({ minimum: 5, maximum: 43_200 }),
    keepCount: Type.Integer({ minimum: 1, maximum: 1000, description: 'So many of the newest stay' }),
  },
  { additionalProperties: false },
)
export type SetBackupSchedule = Static<typeof SetBackupSchedule>

/** One thing that has to be right before the control plane does its work. */
export const ReadinessCheck = Type.Object({
  name: Type.String(),
  ok: Type.Boolean(),
  text: Nullable(Type.String({ description: 'What is wrong, and what to do' })),
})
export type ReadinessCheck = Static<typeof ReadinessCheck>

/** The control plane itself. */
export const System = Type.Object({
  version: Type.String(),
  installationId: Type.String(),
  epoch: Type.Integer({ description: 'Grows with each restore; hosts refuse an older one' }),
  caFingerprint256: Type.String(),
  schema: Type.String({ description: 'The last step of the database’s schema' }),
  startedAt: Time,
  restoredAt: Nullable(Time),
  restoredFrom: Nullable(Time),
  onHold: Type.Boolean({
    description: 'After a restore, until «system settle»: no key is destroyed or taken from a host',
  }),
  backup: BackupSchedule,
  checks: Type.Array(ReadinessCheck),
})
export type System = Static<typeof System>
