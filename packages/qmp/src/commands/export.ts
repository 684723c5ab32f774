import { flag, list, type Of, structure, text } from '../shape.ts'
import type { SocketAddress } from './block-node.ts'
import type { Nothing } from './nothing.ts'

interface ExportOptions {
  readonly id: string
  readonly 'node-name': string
  readonly writable?: boolean
  readonly writethrough?: boolean
  readonly iothread?: string
}

/** A way for others to read, or write, a node. */
export type BlockExport =
  | (ExportOptions & {
      readonly type: 'nbd'
      readonly name?: string
      readonly description?: string
      readonly bitmaps?: readonly (string | { readonly node: string; readonly name: string })[]
      readonly 'allocation-depth'?: boolean
    })
  | (ExportOptions & {
      readonly type: 'vhost-user-blk'
      readonly addr: SocketAddress
      readonly 'logical-block-size'?: number
      readonly 'num-queues'?: number
    })
  | (ExportOptions & { readonly type: 'fuse'; readonly mountpoint: string; readonly growable?: boolean })

export const exportInfo = structure({ id: text, type: text, 'node-name': text, 'shutting-down': flag })
export type ExportInfo = Of<typeof exportInfo>

export interface ExportCommands {
  'nbd-server-start'(server: {
    readonly addr: SocketAddress
    readonly 'tls-creds'?: string
    readonly 'tls-authz'?: string
    readonly 'max-connections'?: number
  }): Nothing
  'nbd-server-stop'(): Nothing
  'block-export-add'(made: BlockExport): Nothing
  /** `safe` is refused while somebody uses it; `hard` cuts them off. */
  'block-export-del'(gone: { readonly id: string; readonly mode?: 'safe' | 'hard' }): Nothing
  'query-block-exports'(): readonly ExportInfo[]
}

export const exportInfos = list(exportInfo)
