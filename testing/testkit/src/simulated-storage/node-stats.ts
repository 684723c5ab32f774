import type { StorageStats } from '@cryptvisor/storage'
import { pageBytes } from './contents.ts'
import type { Disk, FileSystem } from './disk.ts'
import { FileNode } from './file-node.ts'

/** What stat(2) would say of a node; `fileSystem` is `null` for a device. */
export function statsOf(disk: Disk, number: number, fileSystem: FileSystem | null): StorageStats {
  const node = disk.node(number)
  const isFile = node instanceof FileNode
  return {
    kind: node.kind === 'link' || node.kind === 'pipe' ? 'other' : node.kind,
    sizeBytes: isFile ? node.contents.sizeBytes : 0,
    allocatedBytes: node.kind === 'device' ? node.contents.sizeBytes : isFile ? node.contents.pageCount * pageBytes : 0,
    modifiedNs: node.modifiedNs,
    linkCount: fileSystem === null ? 1 : disk.namesOf(number, fileSystem.root),
    identity: `${fileSystem?.root ?? 'device'}:${number}`,
  }
}
