import { type Static, Type } from 'typebox'

/** The longest time for which persisted keys may be good without the control plane. */
export const keepDaysMax = 365

/** `PUT /v1/key-persistence`: keeps the KEKs across restarts, sealed to the host's TPM. */
export const EnableKeyPersistence = Type.Object(
  {
    keepDays: Type.Integer({
      minimum: 1,
      maximum: keepDaysMax,
      description: 'After so many days without the control plane a restart finds the keys expired, and erases them',
    }),
  },
  { additionalProperties: false },
)
export type EnableKeyPersistence = Static<typeof EnableKeyPersistence>

const TextOrNull = Type.Union([Type.String(), Type.Null()])

/** Whether a host keeps its KEKs across restarts. */
export const KeyPersistence = Type.Object(
  {
    isOn: Type.Boolean(),
    /** `null` while it is off. */
    keepDays: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()]),
    /** How many KEKs were written last; null: none yet, since it is off or what lies there could not be opened. */
    keyCount: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    /** When a restart would find what was written last expired; null: nothing was written. */
    keptUntilMs: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()]),
    /** Why this host has no TPM 2.0 that we can use; null: it has one. */
    tpmProblem: TextOrNull,
    /** What went wrong with it last: at the start, or at the last writing. */
    problem: TextOrNull,
  },
  { additionalProperties: false },
)
export type KeyPersistence = Static<typeof KeyPersistence>
