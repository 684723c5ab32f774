import type { OpenOptions, Storage, StorageAccess, StorageFile, StorageFolder, StorageStats } from '@cryptvisor/storage'

/** Where an image lies: under a name in an open folder, or on a block device. Rejects as the storage does. */
export interface Place {
  /** For texts. */
  readonly path: string
  readonly kind: 'file' | 'device'
  open(access: StorageAccess, options?: OpenOptions): Promise<StorageFile>
  /** Creates the file, for its owner alone; a device is not created. */
  create(): Promise<StorageFile>
  /** What is there; `null` for nothing. */
  stat(): Promise<StorageStats | null>
  /** Removes the file; durable after `syncName`. */
  remove(): Promise<void>
  /** Makes its name, or that it is gone, durable. */
  syncName(): Promise<void>
  /** The room that its file system has left; of a device nothing can be had. */
  freeBytes(): Promise<number>
}

/** The place under `name` in `folder`, as long as that is open. */
export function placeIn(folder: StorageFolder, name: string): Place {
  return {
    path: `${folder.path}/${name}`,
    kind: 'file',
    open: (access, options) => folder.openFile(name, access, options),
    create: () => folder.createFile(name),
    stat: () => folder.stat(name),
    remove: () => folder.removeFile(name),
    syncName: () => folder.sync(),
    freeBytes: () => folder.freeBytes(),
  }
}

/** The place that is a block device. */
export function devicePlace(storage: Storage, path: string): Place {
  const fixed = () => Promise.reject(Object.assign(new Error(`ENOTSUP: ${path} is a device`), { code: 'ENOTSUP' }))
  return {
    path,
    kind: 'device',
    open: (access, options) => storage.openDevice(path, access, options),
    create: fixed,
    stat: async () => {
      await using device = await storage.openDevice(path, 'read')
      return await device.stat()
    },
    remove: fixed,
    syncName: async () => {},
    freeBytes: async () => 0,
  }
}
