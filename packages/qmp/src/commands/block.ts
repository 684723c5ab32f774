import { flag, list, number, type Of, oneOf, optional, structure, text } from '../shape.ts'
import type { BitmapChange, MergeBitmaps, NewBitmap } from './bitmap.ts'
import type { BlockNode, NewImage } from './block-node.ts'
import type { Nothing } from './nothing.ts'

/** What a job does when a disk gives errors; `enospc`: as `stop` where the space is at its end, else as `report`. */
export type OnError = 'report' | 'ignore' | 'enospc' | 'stop' | 'auto'

/** What all jobs take. With `false` they wait: `pending` for `job-finalize`, `concluded` for `job-dismiss`. */
interface JobOptions {
  readonly 'job-id'?: string
  /** Bytes in a second; 0 or nothing: as fast as it goes. */
  readonly speed?: number
  readonly 'auto-finalize'?: boolean
  readonly 'auto-dismiss'?: boolean
  readonly 'filter-node-name'?: string
}

export interface Mirror extends JobOptions {
  readonly device: string
  readonly target: string
  readonly sync: 'full' | 'top' | 'none'
  readonly replaces?: string
  readonly granularity?: number
  readonly 'buf-size'?: number
  readonly 'on-source-error'?: OnError
  readonly 'on-target-error'?: OnError
  /** `write-blocking`: what the guest writes is acknowledged when the target has it too. */
  readonly 'copy-mode'?: 'background' | 'write-blocking'
}

export interface Backup extends JobOptions {
  readonly device: string
  readonly target: string
  readonly sync: 'full' | 'top' | 'none' | 'incremental' | 'bitmap'
  readonly bitmap?: string
  readonly 'bitmap-mode'?: 'on-success' | 'never' | 'always'
  readonly 'on-source-error'?: OnError
  readonly 'on-target-error'?: OnError
}

export interface Commit extends JobOptions {
  readonly device: string
  readonly 'base-node'?: string
  readonly 'top-node'?: string
  readonly 'backing-file'?: string
  readonly 'on-error'?: OnError
}

export interface Stream extends JobOptions {
  readonly device: string
  readonly 'base-node'?: string
  readonly bottom?: string
  readonly 'backing-file'?: string
  readonly 'on-error'?: OnError
}

export interface Snapshot {
  readonly node: string
  readonly overlay: string
}

/** Things that `transaction` does together or not at all. */
export type TransactionAction =
  | { readonly type: 'abort'; readonly data: Nothing }
  | { readonly type: 'block-dirty-bitmap-add'; readonly data: NewBitmap }
  | { readonly type: `block-dirty-bitmap-${'remove' | 'clear' | 'enable' | 'disable'}`; readonly data: BitmapChange }
  | { readonly type: 'block-dirty-bitmap-merge'; readonly data: MergeBitmaps }
  | { readonly type: 'blockdev-backup'; readonly data: Backup }
  | { readonly type: 'blockdev-snapshot'; readonly data: Snapshot }

/** A node as QEMU tells of it; of the many fields those that we look at. */
export const blockNodeInfo = structure({
  'node-name': optional(text),
  drv: text,
  /** What it was opened from: a path, or `json:{…}`. */
  file: text,
  ro: flag,
  encrypted: flag,
  backing_file_depth: number,
  cache: structure({ writeback: flag, direct: flag, 'no-flush': flag }),
  image: structure({
    filename: text,
    format: text,
    'virtual-size': number,
    'actual-size': optional(number),
    encrypted: optional(flag),
    snapshots: optional(list(structure({ id: text, name: text, 'vm-state-size': number }))),
  }),
  'dirty-bitmaps': optional(
    list(
      structure({
        name: optional(text),
        count: number,
        granularity: number,
        recording: flag,
        busy: flag,
        persistent: flag,
        inconsistent: optional(flag),
      }),
    ),
  ),
})
export type BlockNodeInfo = Of<typeof blockNodeInfo>

/** What a guest's device reads and writes. */
export const blockDevice = structure({
  device: text,
  /** The path of the device in QEMU's object tree, or its ID. */
  qdev: optional(text),
  /** Missing where nothing is in the drive. */
  inserted: optional(blockNodeInfo),
  'io-status': optional(oneOf('ok', 'failed', 'nospace')),
})
export type BlockDevice = Of<typeof blockDevice>

/** How much was read and written, by device and by node. */
export const blockStatistics = structure({
  device: optional(text),
  qdev: optional(text),
  'node-name': optional(text),
  stats: structure({
    rd_bytes: number,
    wr_bytes: number,
    rd_operations: number,
    wr_operations: number,
    flush_operations: number,
    wr_highest_offset: number,
    failed_rd_operations: number,
    failed_wr_operations: number,
    failed_flush_operations: number,
  }),
})
export type BlockStatistics = Of<typeof blockStatistics>

export interface BlockCommands {
  'blockdev-add'(node: BlockNode): Nothing
  'blockdev-del'(node: { readonly 'node-name': string }): Nothing
  'blockdev-reopen'(change: { readonly options: readonly BlockNode[] }): Nothing
  'blockdev-create'(image: { readonly 'job-id': string; readonly options: NewImage }): Nothing
  'blockdev-mirror'(job: Mirror): Nothing
  'blockdev-backup'(job: Backup): Nothing
  'blockdev-snapshot'(snapshot: Snapshot): Nothing
  'block-commit'(job: Commit): Nothing
  'block-stream'(job: Stream): Nothing
  'change-backing-file'(change: {
    readonly device: string
    readonly 'image-node-name': string
    readonly 'backing-file': string
  }): Nothing
  block_resize(change: { readonly 'node-name': string; readonly size: number }): Nothing
  'query-block'(): readonly BlockDevice[]
  /** With `flat` no node brings those below it along. */
  'query-named-block-nodes'(how?: { readonly flat?: boolean }): readonly BlockNodeInfo[]
  'query-blockstats'(how?: { readonly 'query-nodes'?: boolean }): readonly BlockStatistics[]
  transaction(together: {
    readonly actions: readonly TransactionAction[]
    readonly properties?: { readonly 'completion-mode'?: 'individual' | 'grouped' }
  }): Nothing
}

export const blockNodeInfos = list(blockNodeInfo)
export const blockDevices = list(blockDevice)
export const allBlockStatistics = list(blockStatistics)
