import { type Static, Type } from 'typebox'
import { KeyReference, Nullable } from './names.ts'

/** What can need a KEK. Snapshots and backups join when they exist. */
export const KeyUserKind = Type.Union([
  Type.Literal('vm-home'),
  Type.Literal('disk'),
  Type.Literal('detached-disk'),
  Type.Literal('unregistered-vm'),
  Type.Literal('host-key'),
  Type.Literal('task'),
  /** The key is what a provider takes for all that is encrypted with it next. */
  Type.Literal('wrapping-key'),
])
export type KeyUserKind = Static<typeof KeyUserKind>

/** One thing that cannot be opened without the KEK, and the VM or host that it belongs to. */
export const KeyUser = Type.Object({
  key: KeyReference,
  kind: KeyUserKind,
  id: Type.String(),
  /** In words, such as «disk 0». */
  name: Type.String(),
  owner: Type.Object({
    kind: Type.Union([
      Type.Literal('vm'),
      Type.Literal('host'),
      Type.Literal('datastore'),
      Type.Literal('key-provider'),
    ]),
    id: Type.String(),
    name: Type.String(),
  }),
})
export type KeyUser = Static<typeof KeyUser>

/** What dies, or loses its host key, when keys are destroyed. */
export const Impact = Type.Object({
  keys: Type.Array(KeyReference),
  users: Type.Array(KeyUser),
  /** What else whoever approves has to know. */
  warnings: Type.Array(Type.String()),
  /** How many more users there are that whoever asks may not see. */
  hiddenCount: Type.Optional(Type.Integer()),
})
export type Impact = Static<typeof Impact>

/** `id` is unique in the graph; `ref` is the ID of the thing itself. */
export const KeyUsageNode = Type.Object({
  id: Type.String(),
  kind: Type.Union([
    Type.Literal('key'),
    Type.Literal('vm'),
    Type.Literal('host'),
    Type.Literal('datastore'),
    Type.Literal('key-provider'),
    KeyUserKind,
  ]),
  ref: Type.String(),
  name: Type.String(),
  /** Of a key: `current`, `retired` …, or `scheduled` for one that is going to be destroyed; `null` for all else, and for a key that is not on record. */
  state: Nullable(Type.String()),
})
export type KeyUsageNode = Static<typeof KeyUsageNode>

/** `needs`: `from` cannot be opened without the key `to`. `has`: `to` is part of `from`. */
export const KeyUsageEdge = Type.Object({
  from: Type.String(),
  to: Type.String(),
  kind: Type.Union([Type.Literal('needs'), Type.Literal('has')]),
})
export type KeyUsageEdge = Static<typeof KeyUsageEdge>

/** Which keys, and what for. `truncated`: there is more than one answer holds; ask for one key, VM or host. */
export const KeyUsageGraph = Type.Object({
  nodes: Type.Array(KeyUsageNode),
  edges: Type.Array(KeyUsageEdge),
  truncated: Type.Boolean(),
  /** How many users of keys whoever asks may not see. */
  hiddenCount: Type.Integer(),
})
export type KeyUsageGraph = Static<typeof KeyUsageGraph>
