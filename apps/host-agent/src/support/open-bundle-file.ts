import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import type { Secret } from '@cryptvisor/secret'
import { openBundleKey, openSealed, SupportBundleError } from '@cryptvisor/support-bundle'
import { AgentError } from '../agent-error.ts'
import { errnoOf } from '../io-error.ts'

/**
 * A support bundle that was sealed to a host key, plain, as it is read. Throws AgentError `file-missing`, and `refused` for what is
 * no such bundle, was changed, or was sealed to another key than `readHostKey` gives.
 */
export async function* openBundleFile(path: string, readHostKey: () => Promise<Secret>): AsyncGenerator<Uint8Array> {
  await using file = await opened(path)
  try {
    yield* openSealed(file.createReadStream({ autoClose: false }), async (header) => {
      using hostKey = await readHostKey()
      return openBundleKey(header, hostKey)
    })
  } catch (cause) {
    if (cause instanceof SupportBundleError) throw new AgentError('refused', `${path}: ${cause.message}`, { cause })
    throw cause
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (cause) {
    throw new AgentError('file-missing', `${path}: cannot be read: ${errnoOf(cause) ?? 'unknown error'}`, { cause })
  }
}
