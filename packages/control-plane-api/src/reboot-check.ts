import { type Static, Type } from 'typebox'
import { KeyHealthState } from './key-health.ts'
import { Name, Nullable, Time } from './names.ts'

/**
 * Whether a host can be restarted now. `safe`: all keys that it needs can be had; `degraded`: some cannot, and no VM that is on it
 * needs them; `unsafe`: VMs on it would stay locked, or the host would not be crypto-safe.
 */
export const RebootCheck = Type.Object({
  host: Name,
  verdict: Type.Union([Type.Literal('safe'), Type.Literal('degraded'), Type.Literal('unsafe')]),
  /** Keys that it needs: of all VMs of its cluster, and its host key. */
  neededCount: Type.Integer(),
  obtainableCount: Type.Integer(),
  /** Encrypted VMs on it. */
  vmCount: Type.Integer(),
  /** VMs on it that would stay locked, or are locked already. */
  wouldLock: Type.Array(Type.Object({ vm: Name, reason: Type.String() })),
  /** VMs that run there, or may: they would end. They do not make the verdict another one. */
  running: Type.Array(Name),
  /** Keys that cannot be had now. */
  missing: Type.Array(
    Type.Object({ provider: Type.String(), keyId: Type.String(), state: KeyHealthState, text: Type.String() }),
  ),
  /** What it opens by itself, sealed to its TPM, when it starts again before that time; null: nothing. A key of it may be missing and locks nothing. */
  kept: Nullable(Type.Object({ keyCount: Type.Integer(), until: Time })),
  /** What else to think of before. */
  warnings: Type.Array(Type.String()),
  /** In one line. */
  text: Type.String(),
})
export type RebootCheck = Static<typeof RebootCheck>
export const RebootCheckList = Type.Object({
  checks: Type.Array(RebootCheck),
  /** Of all hosts that were checked; `null`: there is none. */
  verdict: Nullable(RebootCheck.properties.verdict),
})
export type RebootCheckList = Static<typeof RebootCheckList>
