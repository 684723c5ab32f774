import { type Static, Type } from 'typebox'
import { FolderPath } from './folders.ts'
import { KeyReference, Name, Nullable } from './names.ts'

/** A folder of a datastore that holds a VM, as its `vm.json` says; nothing of it is authenticated. */
export const DatastoreFolder = Type.Object({
  folder: Type.String(),
  /** As `vm.json` says; null: it cannot be read, and `problem` says why. */
  vmId: Nullable(Type.String()),
  name: Nullable(Type.String()),
  generation: Nullable(Type.Integer()),
  encrypted: Nullable(Type.Boolean()),
  diskCount: Nullable(Type.Integer()),
  problem: Nullable(Type.String()),
  /** The VM of the inventory that lies there; null: none. */
  registeredAs: Nullable(Name),
})
export type DatastoreFolder = Static<typeof DatastoreFolder>
export const DatastoreContent = Type.Object({ folders: Type.Array(DatastoreFolder) })
export type DatastoreContent = Static<typeof DatastoreContent>

export const RegisterVm = Type.Object(
  {
    datastore: Name,
    datastoreFolder: Type.String({
      minLength: 1,
      maxLength: 80,
      pattern: '^[0-9A-Za-z][0-9A-Za-z._-]*$',
      description: 'Directly below the datastore',
    }),
    host: Type.Optional(Name),
    name: Type.Optional(Name),
    folder: Type.Optional(FolderPath),
  },
  { additionalProperties: false },
)
export type RegisterVm = Static<typeof RegisterVm>

/** What a datastore says of a VM, beside what the inventory says. */
export const VmComparison = Type.Object({
  vm: Name,
  vmId: Type.String(),
  datastore: Name,
  folder: Type.String(),
  /**
   * `same`: they agree. `newer`: the datastore's is of a later generation, as after a restore of the control plane: it can be
   * accepted. `older`: an older copy was put back there. `different`: the same generation says something else. `foreign`:
   * another VM lies there. `missing`, `damaged`: there is no `vm.json`, or it is none. `unknown`: no host could be asked.
   */
  state: Type.Union([
    Type.Literal('same'),
    Type.Literal('newer'),
    Type.Literal('older'),
    Type.Literal('different'),
    Type.Literal('foreign'),
    Type.Literal('missing'),
    Type.Literal('damaged'),
    Type.Literal('unknown'),
  ]),
  generation: Type.Integer({ description: 'As the inventory says' }),
  foundGeneration: Nullable(Type.Integer()),
  /** In words, one thing each: what the inventory says, and what the datastore says. */
  differences: Type.Array(Type.String()),
  /** The KEKs that the datastore's VM needs. */
  foundKeys: Type.Array(KeyReference),
  /** What to do about it. */
  advice: Nullable(Type.String()),
})
export type VmComparison = Static<typeof VmComparison>

/** A folder with a VM that is not in the inventory. */
export const UnregisteredFolder = Type.Object({
  datastore: Name,
  folder: Type.String(),
  name: Nullable(Type.String()),
  vmId: Nullable(Type.String()),
  encrypted: Nullable(Type.Boolean()),
  problem: Nullable(Type.String()),
})
export type UnregisteredFolder = Static<typeof UnregisteredFolder>

export const Reconciliation = Type.Object({
  vms: Type.Array(VmComparison),
  unregistered: Type.Array(UnregisteredFolder),
  /** Datastores that no connected host could be asked about. */
  unseen: Type.Array(Name),
})
export type Reconciliation = Static<typeof Reconciliation>

export const AcceptVm = Type.Object(
  {
    /** That was shown: another one by now is refused. */
    generation: Type.Integer({ minimum: 1 }),
  },
  { additionalProperties: false },
)
export type AcceptVm = Static<typeof AcceptVm>
