import { type FileHandle, open } from 'node:fs/promises'
import { AgentError } from '../agent-error.ts'
import { errnoOf, ioError } from '../io-error.ts'

/** Opens a folder itself; `null` when there is none. `shown` is its path for texts. Throws AgentError. */
export async function openFolder(path: string, shown: string, flags: number): Promise<FileHandle | null> {
  try {
    return await open(path, flags)
  } catch (cause) {
    const errno = errnoOf(cause)
    if (errno === 'ENOENT') return null
    if (errno === 'ENOTDIR' || errno === 'ELOOP') throw notOurs(shown, 'a folder, and no link to one', cause)
    throw ioError(`${shown}: cannot be opened`, cause)
  }
}

/** Something of another kind has a name that should be ours. */
export function notOurs(path: string, expected: string, cause?: unknown): AgentError {
  return new AgentError('datastore-mismatch', `${path}: expected ${expected}`, { cause })
}
