import { type Static, Type } from 'typebox'
import { CryptoMode } from './host-crypto.ts'
import { KeyReference, Name, Nullable, Time } from './names.ts'

export const Cluster = Type.Object({
  id: Type.String(),
  name: Name,
  hosts: Type.Array(Name),
  /** When its hosts are made crypto-safe. */
  cryptoMode: CryptoMode,
})
export type Cluster = Static<typeof Cluster>
export const ClusterList = Type.Object({ clusters: Type.Array(Cluster) })
export const CreateCluster = Type.Object({ name: Name }, { additionalProperties: false })
export type CreateCluster = Static<typeof CreateCluster>

export const Host = Type.Object({
  id: Type.String(),
  name: Name,
  cluster: Name,
  /** Of the agent's REST. */
  url: Type.String(),
  hardwareUuid: Type.String(),
  connection: Type.Union([Type.Literal('connected'), Type.Literal('disconnected')]),
  lastSeenAt: Nullable(Time),
  version: Nullable(Type.String()),
  /**
   * `incapable`: cannot take keys, or encryption is disabled on it; `prepared`: can take keys, and does not hold a host key; `safe`:
   * holds its host key; `pendingIncapable`: encryption is disabled on it, and it may hold keys until it
   * connects and confirms that it forgot them.
   */
  cryptoState: Type.Union([
    Type.Literal('incapable'),
    Type.Literal('prepared'),
    Type.Literal('safe'),
    Type.Literal('pendingIncapable'),
  ]),
  cryptoReason: Nullable(
    Type.String({
      description: 'What is wrong and what to do; null: it holds all keys that it needs, as far as is known',
    }),
  ),
  keyGap: Nullable(
    Type.Object(
      { neededCount: Type.Integer(), missingCount: Type.Integer(), since: Time },
      { description: 'Keys that it needs and does not hold' },
    ),
  ),
  /** Since when encryption is disabled on it. */
  cryptoDisabledAt: Nullable(Time),
  decommissionedAt: Nullable(Time),
  hostKey: Nullable(KeyReference),
  certificateExpiresAt: Time,
  /** How many VMs run there, or may. */
  runningCount: Type.Integer(),
  /** IDs of the VMs that run there and are not the host's to run. */
  strayMachines: Type.Array(Type.String()),
})
export type Host = Static<typeof Host>
export const HostList = Type.Object({ hosts: Type.Array(Host) })

export const CreateEnrolmentToken = Type.Object({ name: Name, cluster: Name }, { additionalProperties: false })
export type CreateEnrolmentToken = Static<typeof CreateEnrolmentToken>
/** Give `token` to `host-agent enroll` by standard input; it works once. */
export const NewEnrolmentToken = Type.Object({ token: Type.String(), expiresAt: Time })
export type NewEnrolmentToken = Static<typeof NewEnrolmentToken>

export const Datastore = Type.Object({
  id: Type.String(),
  name: Name,
  cluster: Name,
  /** The same on every host of the cluster. */
  path: Type.String(),
})
export type Datastore = Static<typeof Datastore>
export const DatastoreList = Type.Object({ datastores: Type.Array(Datastore) })
export const CreateDatastore = Type.Object(
  { name: Name, cluster: Name, path: Type.String({ minLength: 2, maxLength: 1024, pattern: '^/' }) },
  { additionalProperties: false },
)
export type CreateDatastore = Static<typeof CreateDatastore>
