import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

/** How long the password of a backup is, in bytes of UTF-8. */
export const backupPasswordSizeMin = 12
export const backupPasswordSizeMax = 1024

/** The largest backup of a native key provider that is taken. */
export const nativeBackupSizeMax = 262_144

/** What is known of a native key provider; its derivation keys lie sealed, and no answer but a backup has them. */
export const NativeProvider = Type.Object({
  /** Of the derivation key that new keys are made with. */
  generation: Type.Integer(),
  /** Whether that one was backed up; before, no key is made. */
  isBackedUp: Type.Boolean(),
  restoredAt: Nullable(Time),
  generations: Type.Array(
    Type.Object({
      generation: Type.Integer(),
      createdAt: Time,
      backedUpAt: Nullable(Time),
      keyCount: Type.Integer({ description: 'Keys of this generation that are not destroyed' }),
    }),
  ),
})
export type NativeProvider = Static<typeof NativeProvider>

/** Says that a backup that was read out is whole where it was written. */
export const ConfirmBackup = Type.Object(
  { sha256: Type.String({ pattern: '^[0-9a-f]{64}$', description: 'SHA-256 of the file' }) },
  { additionalProperties: false },
)
export type ConfirmBackup = Static<typeof ConfirmBackup>

/** A backup that was sent, and waits for its password. */
export const WaitingRestore = Type.Object({ id: Type.String(), expiresAt: Time })
export type WaitingRestore = Static<typeof WaitingRestore>
