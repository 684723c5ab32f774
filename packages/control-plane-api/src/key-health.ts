import { type Static, Type } from 'typebox'
import { Nullable, Time } from './names.ts'

/**
 * How a KEK that is in use was found at its key provider when it was read back last. `good`: it is Active, can be had, and is
 * the one that the hosts hold. `inactive`: it was never activated. `revoked`: Deactivated. `mismatch`: the provider gives other
 * bytes than a host holds under this name. `unreachable`: its provider did not answer, so nothing is known. `unchecked`: it was
 * not read back yet.
 */
export const KeyHealthState = Type.Union([
  Type.Literal('unchecked'),
  Type.Literal('good'),
  Type.Literal('inactive'),
  Type.Literal('revoked'),
  Type.Literal('compromised'),
  Type.Literal('destroyed'),
  Type.Literal('missing'),
  Type.Literal('unusable'),
  Type.Literal('mismatch'),
  Type.Literal('refused'),
  Type.Literal('unreachable'),
])
export type KeyHealthState = Static<typeof KeyHealthState>

export const KeyHealth = Type.Object({
  provider: Type.String(),
  keyId: Type.String(),
  state: KeyHealthState,
  /** What was found, and what to do. */
  text: Type.String(),
  checkedAt: Nullable(Time),
  /** When it was good last. */
  verifiedAt: Nullable(Time),
  badSince: Nullable(Time),
})
export type KeyHealth = Static<typeof KeyHealth>

/** A KEK in use, how it was found, and who needs it. */
export const UsedKeyHealth = Type.Object({
  ...KeyHealth.properties,
  /** Names of the VMs that need it, and of the host whose host key it is. */
  vms: Type.Array(Type.String()),
  host: Nullable(Type.String()),
})
export type UsedKeyHealth = Static<typeof UsedKeyHealth>
export const KeyHealthList = Type.Object({ keys: Type.Array(UsedKeyHealth) })

/** Reads back all KEKs that are in use, or those of one provider. */
export const VerifyKeys = Type.Object(
  { provider: Type.Optional(Type.String({ minLength: 1, maxLength: 80 })) },
  { additionalProperties: false },
)
export type VerifyKeys = Static<typeof VerifyKeys>
