import type { ObjectKind } from '@cryptvisor/control-plane-api'

/** Something that permissions are given on. */
export interface InventoryObject {
  readonly kind: ObjectKind
  /** The ID; a key provider's name; `root`. */
  readonly id: string
  /** As people call it; a folder's path. */
  readonly name: string
}

/**
 * An object, then what it lies in, and so on up to the root. A VM lies in its folder; a host and a datastore lie in their
 * cluster; clusters, key providers and storage policies lie directly under the root. Where a VM runs gives nobody anything.
 */
export type ObjectPath = readonly [InventoryObject, ...InventoryObject[]]

export const root: InventoryObject = { kind: 'root', id: 'root', name: '/' }

/** Of what concerns the whole installation. */
export const rootPath: ObjectPath = [root]

/** What lies in `parent`. */
export function within(object: InventoryObject, parent: ObjectPath): ObjectPath {
  return [object, ...parent]
}

/** Such as «VM web», «folder /Sales» or «the root». */
export function describeObject({ kind, name }: Pick<InventoryObject, 'kind' | 'name'>): string {
  return kind === 'root' ? 'the root' : `${kindWords[kind]} ${name}`
}

const kindWords: Readonly<Record<Exclude<ObjectKind, 'root'>, string>> = {
  folder: 'folder',
  cluster: 'cluster',
  host: 'host',
  datastore: 'datastore',
  vm: 'VM',
  'key-provider': 'key provider',
  policy: 'storage policy',
}
