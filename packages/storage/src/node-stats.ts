import type { BigIntStats } from 'node:fs'
import type { StorageStats } from './storage.ts'

/** What stat(2) counts allocated room in. */
const blockSizeBytes = 512

/** What Node's stat says, in our words; `deviceBytes` is what a block device holds. */
export function statsOf(stats: BigIntStats, deviceBytes: number | null = null): StorageStats {
  return {
    kind: kindOf(stats),
    sizeBytes: deviceBytes ?? Number(stats.size),
    allocatedBytes: deviceBytes ?? Number(stats.blocks) * blockSizeBytes,
    modifiedNs: stats.mtimeNs,
    linkCount: Number(stats.nlink),
    identity: `${stats.dev}:${stats.ino}`,
  }
}

function kindOf(stats: BigIntStats): StorageStats['kind'] {
  if (stats.isFile()) return 'file'
  if (stats.isDirectory()) return 'folder'
  return stats.isBlockDevice() ? 'device' : 'other'
}
