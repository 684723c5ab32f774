import { type Static, Type } from 'typebox'
import { Id, VmAuthority } from './vm.ts'

/** An absolute path on the host. */
const DatastorePath = VmAuthority.properties.datastorePath

/** A VM's folder, directly below its datastore. */
const VmFolder = VmAuthority.properties.folder

export const BrowseDatastore = Type.Object({ datastorePath: DatastorePath }, { additionalProperties: false })
export type BrowseDatastore = Static<typeof BrowseDatastore>

/** A folder of a datastore with a `vm.json`. Nothing of it is authenticated. */
export const FoundFolder = Type.Object(
  {
    folder: VmFolder,
    vm: Type.Union([
      Type.Null(),
      Type.Object(
        {
          vmId: Id,
          name: Type.String(),
          generation: Type.Integer({ minimum: 1 }),
          encrypted: Type.Boolean({ description: 'VM Home or a disk is' }),
          diskCount: Type.Integer({ minimum: 0 }),
        },
        { additionalProperties: false },
      ),
    ]),
    /** Why `vm` is null. */
    problem: Type.Union([Type.String(), Type.Null()]),
  },
  { additionalProperties: false },
)
export type FoundFolder = Static<typeof FoundFolder>
export const FoundFolders = Type.Object({ folders: Type.Array(FoundFolder) }, { additionalProperties: false })
export type FoundFolders = Static<typeof FoundFolders>

export const InspectVm = Type.Object(
  { datastorePath: DatastorePath, folder: VmFolder },
  { additionalProperties: false },
)
export type InspectVm = Static<typeof InspectVm>

/** What `vm.json` says, in the form in which the control plane says it; a hint until every key record was opened. */
export const FoundVm = Type.Object(
  {
    vm: VmAuthority,
    /** The operation whose journal lies there and is not at its end; null: none. */
    unfinishedOperation: Type.Union([Type.String(), Type.Null()]),
  },
  { additionalProperties: false },
)
export type FoundVm = Static<typeof FoundVm>
