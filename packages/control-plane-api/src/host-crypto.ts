import { type Static, Type } from 'typebox'
import { Name, Nullable, Time } from './names.ts'
import { Task } from './tasks.ts'

/** Which key is to be a host's host key: one that is there (`keyId`), or a new one of a provider; the default one when left out. */
export const HostKeyChoice = Type.Object(
  {
    keyProvider: Type.Optional(Name),
    keyId: Type.Optional(Type.String({ minLength: 1, maxLength: 256 })),
  },
  { additionalProperties: false },
)
export type HostKeyChoice = Static<typeof HostKeyChoice>

/** Host keys for all hosts of a cluster are always new ones. */
export const RekeyHosts = Type.Object({ keyProvider: Type.Optional(Name) }, { additionalProperties: false })
export type RekeyHosts = Static<typeof RekeyHosts>

/** What was begun for the hosts of a cluster, and which were left out and why. */
export const StartedForHosts = Type.Object({
  tasks: Type.Array(Task),
  skipped: Type.Array(Type.Object({ host: Name, reason: Type.String() })),
})
export type StartedForHosts = Static<typeof StartedForHosts>

const AcceptExposure = Type.Optional(
  Type.Boolean({
    description: 'Go on although the host cannot confirm that it forgot its keys; they are listed as exposed then',
  }),
)

export const MoveHost = Type.Object({ cluster: Name, acceptExposure: AcceptExposure }, { additionalProperties: false })
export type MoveHost = Static<typeof MoveHost>
export const DecommissionHost = Type.Object({ acceptExposure: AcceptExposure }, { additionalProperties: false })
export type DecommissionHost = Static<typeof DecommissionHost>

/** `on-demand`: a host is made crypto-safe when a task needs it; `force-enable`: as soon as it is connected. */
export const CryptoMode = Type.Union([Type.Literal('on-demand'), Type.Literal('force-enable')])
export type CryptoMode = Static<typeof CryptoMode>
export const SetCryptoMode = Type.Object({ mode: CryptoMode }, { additionalProperties: false })
export type SetCryptoMode = Static<typeof SetCryptoMode>

/** A key that a host which left may still hold. */
export const ExposedKey = Type.Object({
  provider: Type.String(),
  keyId: Type.String(),
  /** As it was called. */
  host: Type.String(),
  reason: Type.Union([Type.Literal('removed'), Type.Literal('moved'), Type.Literal('decommissioned')]),
  exposedAt: Time,
  /** Until when at the latest the host opens what it kept across restarts, sealed to its TPM; null: it kept nothing, and a restart was enough. */
  keptUntil: Nullable(Time),
  /** VMs that are still under it: rekey them. */
  vms: Type.Array(Type.String()),
  inUse: Type.Boolean(),
})
export type ExposedKey = Static<typeof ExposedKey>
export const ExposedKeyList = Type.Object({ keys: Type.Array(ExposedKey) })
