/**
 * Where files lie: the kernel's file systems and devices (`NodeStorage`), or a simulated disk that a test can cut off at
 * any write. It speaks as the kernel does: what fails rejects with an error whose `code` is the errno's name (`ENOENT`,
 * `ENOSPC`, `EIO` …), and nothing is durable before a sync: a file's bytes by its own, its name by its folder's.
 */
export interface Storage {
  /** Opens a folder by its path, which may lead over links; `null` when there is none. */
  openFolder(path: string): Promise<StorageFolder | null>
  /** Opens a block device, to write it for this process alone (O_EXCL). Rejects with `ENOTBLK` for anything else, `EBUSY` when it is in use. */
  openDevice(path: string, access: StorageAccess, options?: OpenOptions): Promise<StorageFile>
}

/** How a file is opened. */
export type StorageAccess = 'read' | 'write'

export interface OpenOptions {
  /** Whether reads and writes pass the page cache by (O_DIRECT). Rejects with `EINVAL` where that cannot be. */
  readonly direct?: boolean
}

/** Offsets, sizes and memory of direct reads and writes are multiples of this: it suits every block size in use. */
export const directAlignmentBytes = 4096

/**
 * A folder, held open: what is done in it stays in it, whatever happens to its path meanwhile. Names are single ones; no link
 * is followed below it (`ELOOP`).
 */
export interface StorageFolder extends AsyncDisposable {
  /** Its path, for texts. */
  readonly path: string
  /** Opens the folder `name` in this one; `null` when there is none. Rejects with `ENOTDIR` for anything else, a link too. */
  folder(name: string): Promise<StorageFolder | null>
  /** Makes the folder `name` for its owner alone. */
  makeFolder(name: string): Promise<void>
  /** Opens a regular file, for reading or for both. Rejects with `EINVAL` when something else has that name. */
  openFile(name: string, access: StorageAccess, options?: OpenOptions): Promise<StorageFile>
  /** Creates a file for reading and writing by its owner alone. Rejects with `EEXIST` when anything has that name. */
  createFile(name: string): Promise<StorageFile>
  /** What has this name, links not followed; `null` when nothing has. */
  stat(name: string): Promise<StorageStats | null>
  /** The names of all that lies in it; of so many at most, no more of it is read then. */
  names(countMax?: number): Promise<string[]>
  /** Gives a file another name in this folder, in place of what had it. */
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name, `as` in a folder of the same storage. Rejects with `EEXIST`, `EXDEV`, and `EPERM` where that cannot be. */
  link(name: string, to: StorageFolder, as: string): Promise<void>
  /** Removes a file or a link. */
  removeFile(name: string): Promise<void>
  /** Removes a folder. Rejects with `ENOTEMPTY` or `EEXIST` while anything lies in it. */
  removeFolder(name: string): Promise<void>
  /** Makes what was created, renamed and removed here durable. */
  sync(): Promise<void>
  /** How much room its file system has left for users. */
  freeBytes(): Promise<number>
}

/** An open file or block device. */
export interface StorageFile extends AsyncDisposable {
  /** Its path, for texts. */
  readonly path: string
  /** What worker threads of this process may read and write it by; `null` for one that only this object reaches. */
  readonly descriptor: number | null
  /** Whether reads and writes must be aligned and pass the page cache by. */
  readonly direct: boolean
  stat(): Promise<StorageStats>
  /** Reads into all of `bytes` or as much as there is, from `position` on, blocking; gives how much. 0: the end. */
  readSync(bytes: Uint8Array, position: number): number
  /** Writes `bytes` at `position`, blocking; gives how much of them it took. */
  writeSync(bytes: Uint8Array, position: number): number
  read(bytes: Uint8Array, position: number): Promise<number>
  write(bytes: Uint8Array, position: number): Promise<number>
  /** Cuts a file off, or lets it end with a hole. Not for devices. */
  truncate(sizeBytes: number): Promise<void>
  /** Takes the room for the first `sizeBytes` of a file from its file system (`ENOSPC`), and makes it that long; `false` where that cannot be done ahead. */
  allocate(sizeBytes: number): Promise<boolean>
  /** Makes its bytes and its size durable. */
  sync(): Promise<void>
  /** Takes the lock of this file, until it is closed; `false` while somebody else has it. Rejects with `ENOLCK` where the storage has none. */
  lock(): Promise<boolean>
}

/** What the storage says of a name or an open file. */
export interface StorageStats {
  readonly kind: 'file' | 'folder' | 'device' | 'other'
  /** Of a device: how much it holds. */
  readonly sizeBytes: number
  readonly allocatedBytes: number
  /** When the contents last changed, in nanoseconds since 1970. */
  readonly modifiedNs: bigint
  /** How many names it has. */
  readonly linkCount: number
  /** Tells it from all others while it is there: its file system and its number in it. */
  readonly identity: string
}
