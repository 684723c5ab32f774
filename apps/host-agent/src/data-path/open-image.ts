import type { StorageFile } from '@cryptvisor/storage'
import type { Source } from './source.ts'

/** An image whose file is open. */
export interface OpenImage {
  readonly image: Source
  readonly file: StorageFile
  /** The same file past the page cache, for what is aligned; `null` where the page cache is to be used. */
  readonly directFile: StorageFile | null
}
