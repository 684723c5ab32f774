import { errnoOf } from '../io-error.ts'

/** Why a transfer, a comparison or an access to an image file failed. */
export type DataPathErrorCode =
  | 'not-found'
  | 'not-regular'
  | 'already-exists'
  | 'no-space'
  | 'size-mismatch'
  | 'target-not-empty'
  | 'source-changed'
  | 'truncated'
  | 'padding-not-zero'
  | 'mismatch'
  | 'record-mismatch'
  | 'bad-image'
  | 'unsupported-image'
  | 'backing-file'
  | 'external-data-file'
  | 'encrypted-image'
  | 'aborted'
  | 'io'
  | 'worker-failed'

/** Thrown by everything in this folder. Texts name paths, offsets and sizes, never contents. */
export class DataPathError extends Error {
  override readonly name = 'DataPathError'
  readonly code: DataPathErrorCode

  constructor(code: DataPathErrorCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const codeOfSystemError: Readonly<Record<string, DataPathErrorCode>> = {
  ENOENT: 'not-found',
  ELOOP: 'not-regular',
  EISDIR: 'not-regular',
  EEXIST: 'already-exists',
  ENOSPC: 'no-space',
  EDQUOT: 'no-space',
}

/**
 * An error of the file system as a DataPathError whose text begins with `what`: what was being done to which path. Any
 * other error is given back as it is.
 */
export function dataPathErrorOf(error: unknown, what: string): unknown {
  const errno = errnoOf(error)
  if (errno === null) return error
  return new DataPathError(codeOfSystemError[errno] ?? 'io', `${what}: ${errno}`, { cause: error })
}
