import {
  parseQcow2Header,
  Qcow2Error,
  type Qcow2ErrorCode,
  type Qcow2Header,
  refuseForeignData,
} from '@cryptvisor/qcow2'
import { DataPathError, type DataPathErrorCode } from './data-path-error.ts'

/**
 * Reads a qcow2 header out of the beginning of an image, its first 64 KiB or all of it. Throws a DataPathError: `bad-image`
 * that names the field; for an image that is not whole by itself `backing-file`, `external-data-file`, `encrypted-image`;
 * `unsupported-image` for one that came after us or was not closed cleanly.
 */
export function inspectQcow2(bytes: Uint8Array): Qcow2Header {
  try {
    const header = parseQcow2Header(bytes)
    refuseForeignData(header)
    return header
  } catch (error) {
    throw error instanceof Qcow2Error ? dataPathErrorOfQcow2(error) : error
  }
}

/** An error of the format as one of the data path's. */
export function dataPathErrorOfQcow2(error: Qcow2Error): DataPathError {
  return new DataPathError(codes[error.code] ?? 'bad-image', error.message, { cause: error })
}

/** What is not here is a `bad-image`. */
const codes: Partial<Record<Qcow2ErrorCode, DataPathErrorCode>> = {
  'backing-file': 'backing-file',
  'external-data-file': 'external-data-file',
  encrypted: 'encrypted-image',
  'not-clean': 'unsupported-image',
  'unsupported-feature': 'unsupported-image',
}
