import type { NameChange } from './folder-node.ts'

/** Something that a test put there, durable at once. */
export type Plant =
  | { readonly kind: 'file'; readonly bytes: Uint8Array }
  | { readonly kind: 'link'; readonly target: string }
  | { readonly kind: 'pipe' | 'folder' }
  /** One more name of a file that is there. */
  | { readonly kind: 'name'; readonly of: string }

/** What changed a disk, or made changes durable. Nodes are files and folders by their number, whatever their names are. */
export type DiskEvent = { readonly path: string; readonly modifiedNs: bigint } & (
  | { readonly kind: 'write'; readonly node: number; readonly position: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate' | 'allocate'; readonly node: number; readonly sizeBytes: number }
  | { readonly kind: 'sync'; readonly node: number; readonly failed: boolean }
  | { readonly kind: 'create'; readonly folder: number; readonly name: string; readonly made: 'file' | 'folder' }
  | { readonly kind: 'names'; readonly folder: number; readonly change: NameChange }
  | { readonly kind: 'plant'; readonly folder: number; readonly name: string; readonly plant: Plant }
)
