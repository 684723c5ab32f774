import { open } from 'node:fs/promises'
import type { Secret } from '@cryptvisor/secret'
import { KeyServerError } from './key-server-error.ts'

/** Writes a new file that its owner alone can read, synced. Throws `bad-argument` when it is there already. */
export async function writeNewFile(path: string, content: string | Uint8Array | Secret): Promise<void> {
  await using file = await openNew(path)
  if (typeof content === 'string' || content instanceof Uint8Array) await file.writeFile(content)
  else await content.expose((bytes) => file.writeFile(bytes))
  await file.sync()
}

async function openNew(path: string) {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    throw new KeyServerError('bad-argument', `${path} cannot be made: it must be new, in a folder that is yours`, {
      cause,
    })
  }
}
