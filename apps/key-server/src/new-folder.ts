import { mkdir } from 'node:fs/promises'
import { KeyServerError } from './key-server-error.ts'

/** Makes a folder and those above it, for their owner alone; fine when it is there. Throws `bad-argument`. */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? ` (${String(cause.code)})` : ''
    throw new KeyServerError('bad-argument', `${path} cannot be made a folder${code}: name another one`, { cause })
  }
}
