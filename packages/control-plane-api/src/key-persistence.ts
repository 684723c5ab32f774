import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

/** How long persisted keys may be good without the control plane. */
export const keyPersistenceDaysMax = 365

export const EnableKeyPersistence = Type.Object(
  {
    keepDays: Type.Integer({
      minimum: 1,
      maximum: keyPersistenceDaysMax,
      default: 30,
      description: 'After so many days without the control plane the keys are erased when the host starts',
    }),
  },
  { additionalProperties: false },
)
export type EnableKeyPersistence = Static<typeof EnableKeyPersistence>

/** Whether a host keeps its keys across restarts, sealed to its TPM 2.0. */
export const HostKeyPersistence = Type.Object({
  /** What was chosen; null: off. */
  keepDays: Nullable(Type.Integer()),
  /** Since when it is on; null: it is off. */
  since: Nullable(Time),
  /** For how many days it may have kept keys: until it confirms that it erased them, also where it is off; null: it keeps none. */
  mayKeepDays: Nullable(Type.Integer()),
  /** What the host says; null: it is not connected. */
  onHost: Nullable(
    Type.Object({
      isOn: Type.Boolean(),
      /** How many keys it has written; null: none. */
      keyCount: Nullable(Type.Integer()),
      /** When a restart would find them expired; begins anew each day that the control plane sees the host; null: none. */
      keptUntil: Nullable(Time),
      /** Why it has no TPM 2.0 that can be used; null: it has one. */
      tpmProblem: Nullable(Type.String()),
      /** What went wrong last; null: nothing. */
      problem: Nullable(Type.String()),
      /** How well the memory that holds the keys is guarded. */
      memory: Type.Object({ swap: Type.Boolean(), coreDumps: Type.Boolean() }),
    }),
  ),
})
export type HostKeyPersistence = Static<typeof HostKeyPersistence>
