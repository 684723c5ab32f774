import { isUniqueViolation } from '@cryptvisor/sqlite'
import { ControlPlaneError } from './control-plane-error.ts'

/** Does `insert`; where a row with the same unique value is there, throws `already-exists` with `message` instead. */
export async function orExists<Result>(field: string, message: string, insert: () => Promise<Result>): Promise<Result> {
  try {
    return await insert()
  } catch (cause) {
    if (!isUniqueViolation(cause)) throw cause
    throw new ControlPlaneError('already-exists', `${field}: ${message}`, { field, cause })
  }
}
