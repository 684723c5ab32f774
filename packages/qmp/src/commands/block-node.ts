/** What every node may say; `node-name` is what it is called from then on. */
interface NodeOptions {
  readonly 'node-name'?: string
  readonly discard?: 'ignore' | 'unmap'
  readonly cache?: { readonly direct?: boolean; readonly 'no-flush'?: boolean }
  readonly 'read-only'?: boolean
  readonly 'auto-read-only'?: boolean
  readonly 'force-share'?: boolean
  readonly 'detect-zeroes'?: 'off' | 'on' | 'unmap'
}

/** A node below: by the name of one that is there, or made with this one. */
type Child = string | BlockNode

/** A file or a block device of the host. */
export interface FileNode extends NodeOptions {
  readonly driver: 'file' | 'host_device'
  readonly filename: string
  readonly aio?: 'threads' | 'native' | 'io_uring'
  readonly locking?: 'on' | 'off' | 'auto'
}

/** A LUKS1 volume; `key-secret` names the object that holds its passphrase while the node is opened. */
export interface LuksNode extends NodeOptions {
  readonly driver: 'luks'
  readonly file: Child
  readonly 'key-secret'?: string
}

export interface RawNode extends NodeOptions {
  readonly driver: 'raw'
  readonly file: Child
  readonly offset?: number
  readonly size?: number
}

/**
 * A qcow2 image. `backing` must be said: where it is left out QEMU follows what the image's own header names, and that a guest or a
 * datastore may have written; `null` is none.
 */
export interface Qcow2Node extends NodeOptions {
  readonly driver: 'qcow2'
  readonly file: Child
  readonly backing: Child | null
  readonly encrypt?: { readonly format: 'luks'; readonly 'key-secret': string }
  readonly 'lazy-refcounts'?: boolean
  readonly 'pass-discard-request'?: boolean
  readonly 'discard-no-unref'?: boolean
}

/** A disk that another QEMU, or a storage daemon, serves. */
export interface NbdNode extends NodeOptions {
  readonly driver: 'nbd'
  readonly server: SocketAddress
  readonly export?: string
  readonly 'tls-creds'?: string
  readonly 'tls-hostname'?: string
  readonly 'reconnect-delay'?: number
}

/** Reads as zeros, keeps nothing. */
export interface NullNode extends NodeOptions {
  readonly driver: 'null-co' | 'null-aio'
  readonly size?: number
  readonly 'read-zeroes'?: boolean
}

export interface ThrottleNode extends NodeOptions {
  readonly driver: 'throttle'
  readonly 'throttle-group': string
  readonly file: Child
}

/** Before the guest changes something, what was there goes to `target`: a moment that stands still for a backup. */
export interface CopyBeforeWriteNode extends NodeOptions {
  readonly driver: 'copy-before-write'
  readonly file: Child
  readonly target: Child
  readonly bitmap?: { readonly node: string; readonly name: string }
}

/** Reads that moment. */
export interface SnapshotAccessNode extends NodeOptions {
  readonly driver: 'snapshot-access'
  readonly file: Child
}

/** A node of QEMU's block graph, as `blockdev-add` takes it. The format is always named: QEMU is never to guess it. */
export type BlockNode =
  | FileNode
  | LuksNode
  | RawNode
  | Qcow2Node
  | NbdNode
  | NullNode
  | ThrottleNode
  | CopyBeforeWriteNode
  | SnapshotAccessNode

/** An image to be made. LUKS is not among them: we write its headers ourselves, since QEMU stops the guest meanwhile. */
export type NewImage =
  | { readonly driver: 'file'; readonly filename: string; readonly size: number }
  | {
      readonly driver: 'qcow2'
      readonly file: string
      readonly size: number
      readonly 'cluster-size'?: number
      readonly 'lazy-refcounts'?: boolean
      readonly 'extended-l2'?: boolean
    }

/** Where somebody listens, or is to listen. */
export type SocketAddress =
  | { readonly type: 'unix'; readonly path: string }
  | { readonly type: 'inet'; readonly host: string; readonly port: string }
  | { readonly type: 'fd'; readonly str: string }
