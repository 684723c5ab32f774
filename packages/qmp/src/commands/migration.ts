import { flag, list, number, type Of, oneOf, optional, structure, text } from '../shape.ts'
import type { Nothing } from './nothing.ts'

export const migrationStatus = oneOf(
  'none',
  'setup',
  'cancelling',
  'cancelled',
  'active',
  'postcopy-active',
  'postcopy-paused',
  // Since QEMU 9.1.
  'postcopy-recover-setup',
  'postcopy-recover',
  'completed',
  'failed',
  'colo',
  'pre-switchover',
  'device',
  'wait-unplug',
)
export type MigrationStatus = Of<typeof migrationStatus>

/** What is set alone changes; `tls-…` of `null` (where QEMU takes it) or `''` is none. */
export interface MigrationParameters {
  readonly 'tls-creds'?: string | null
  readonly 'tls-hostname'?: string | null
  readonly 'tls-authz'?: string | null
  /** Bytes in a second. */
  readonly 'max-bandwidth'?: number
  /** Milliseconds that the guest may stand still. */
  readonly 'downtime-limit'?: number
  readonly 'multifd-channels'?: number
  readonly 'max-cpu-throttle'?: number
  readonly 'block-bitmap-mapping'?: readonly {
    readonly 'node-name': string
    readonly alias: string
    readonly bitmaps: readonly { readonly name: string; readonly alias: string }[]
  }[]
}

export interface MigrationCapability {
  readonly capability:
    | 'auto-converge'
    | 'events'
    | 'release-ram'
    | 'return-path'
    | 'pause-before-switchover'
    | 'multifd'
    | 'dirty-bitmaps'
    | 'late-block-activate'
    | 'validate-uuid'
    | 'background-snapshot'
  readonly state: boolean
}

/** How a migration goes, or went; all is missing where there was none. Times in milliseconds, sizes in bytes. */
export const migrationInfo = structure({
  status: optional(migrationStatus),
  ram: optional(
    structure({ transferred: number, remaining: number, total: number, mbps: number, 'dirty-sync-count': number }),
  ),
  'total-time': optional(number),
  downtime: optional(number),
  'expected-downtime': optional(number),
  'setup-time': optional(number),
  'error-desc': optional(text),
  'blocked-reasons': optional(list(text)),
})
export type MigrationInfo = Of<typeof migrationInfo>

/** The parameters as they are, of the many those that we look at. */
export const migrationParametersInfo = structure({
  'tls-creds': optional(text),
  'tls-hostname': optional(text),
  'tls-authz': optional(text),
  'max-bandwidth': optional(number),
  'downtime-limit': optional(number),
})

export const migrationCapabilities = list(structure({ capability: text, state: flag }))

export const dumpInfo = structure({
  status: oneOf('none', 'active', 'completed', 'failed'),
  completed: number,
  total: number,
})

interface VmSnapshot {
  readonly 'job-id': string
  readonly tag: string
  readonly devices: readonly string[]
}

export interface MigrationCommands {
  migrate(to: { readonly uri: string; readonly resume?: boolean }): Nothing
  'migrate-incoming'(from: { readonly uri: string }): Nothing
  migrate_cancel(): Nothing
  'migrate-continue'(at: { readonly state: MigrationStatus }): Nothing
  'query-migrate'(): MigrationInfo
  'migrate-set-parameters'(parameters: MigrationParameters): Nothing
  'query-migrate-parameters'(): Of<typeof migrationParametersInfo>
  'migrate-set-capabilities'(change: { readonly capabilities: readonly MigrationCapability[] }): Nothing
  'query-migrate-capabilities'(): Of<typeof migrationCapabilities>
  'snapshot-save'(snapshot: VmSnapshot & { readonly vmstate: string }): Nothing
  'snapshot-load'(snapshot: VmSnapshot & { readonly vmstate: string }): Nothing
  'snapshot-delete'(snapshot: VmSnapshot): Nothing
  'dump-guest-memory'(dump: {
    readonly paging: boolean
    readonly protocol: string
    readonly detach?: boolean
    readonly format?: 'elf' | 'kdump-zlib' | 'kdump-lzo' | 'kdump-snappy' | 'win-dmp'
  }): Nothing
  'query-dump'(): Of<typeof dumpInfo>
}
