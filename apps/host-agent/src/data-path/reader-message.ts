import type { DataPathErrorCode } from './data-path-error.ts'
import type { ReadJob } from './image-reader.ts'
import type { JobDescriptors } from './job.ts'

/** What a reading thread is started with. */
export interface ReaderData {
  readonly job: ReadJob
  readonly files: JobDescriptors
}

/** What it is asked for; `end` is the last word, and wipes its keys. */
export type ReaderRequest = { readonly offsetBytes: number; readonly sizeBytes: number } | 'end'

/** What it says: `ready` when it has taken the keys, else `failed`; then one answer to each request, in their order. */
export type ReaderMessage =
  | { readonly kind: 'ready'; readonly sizeBytes: number }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | { readonly kind: 'failed'; readonly code: DataPathErrorCode; readonly message: string }
