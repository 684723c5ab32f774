import type { DataPathErrorCode } from './data-path-error.ts'

/** One file of a job, open in the main thread, which closes it only after the worker has ended. */
export interface JobFile {
  readonly fd: number
  /** For error texts. */
  readonly path: string
  readonly offsetBytes: number
  /** The volume key of a LUKS payload in memory that both threads wipe, or null for a plain file. */
  readonly key: SharedArrayBuffer | null
  /** Whether reads must be aligned (O_DIRECT). */
  readonly direct: boolean
}

/** What the worker is to do. */
export interface Job {
  readonly task: 'copy' | 'compare'
  readonly source: JobFile
  readonly target: JobFile
  readonly sizeBytes: number
  /** One 32-bit word: not zero when the job is to stop. */
  readonly stop: SharedArrayBuffer
}

/** What the worker says. `done` or `failed` is its last word. */
export type JobMessage =
  | { readonly kind: 'progress'; readonly doneBytes: number }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: DataPathErrorCode; readonly message: string }
