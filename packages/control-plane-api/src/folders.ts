import { type Static, Type } from 'typebox'
import { Name } from './names.ts'
import { folderPathSizeMax } from './permissions.ts'

/** A folder by its path, such as `/Sales/Berlin`, or its ID; `/` is the root of the inventory. */
export const FolderPath = Type.String({ minLength: 1, maxLength: folderPathSizeMax })

/** A folder of VMs. */
export const Folder = Type.Object({
  id: Type.String(),
  name: Name,
  /** From the root, such as `/Sales/Berlin`. */
  path: Type.String(),
  /** The VMs directly in it that you may see. */
  vms: Type.Array(Name),
})
export type Folder = Static<typeof Folder>
export const FolderList = Type.Object({ folders: Type.Array(Folder) })

export const CreateFolder = Type.Object(
  { name: Name, parent: Type.Optional(FolderPath) },
  { additionalProperties: false },
)
export type CreateFolder = Static<typeof CreateFolder>

export const RenameFolder = Type.Object({ name: Name }, { additionalProperties: false })
export type RenameFolder = Static<typeof RenameFolder>

/** Where a folder or a VM goes. */
export const MoveTo = Type.Object({ folder: FolderPath }, { additionalProperties: false })
export type MoveTo = Static<typeof MoveTo>
