import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CliError } from './cli-error.ts'

/** Far more than a configuration or a token needs. */
const privateFileSizeMax = 262_144

/** Permissions of everybody but the owner. */
const othersMask = 0o077

/**
 * Reads a file, or a pipe, that holds a token; `null` when it is not there. Throws `CliError` `unsafe-file` when somebody else owns
 * it or may read it, `bad-file` when it cannot be read.
 */
export async function readPrivateFile(path: string): Promise<string | null> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return null
    throw unreadable(path, cause)
  }
  try {
    const stat = await file.stat()
    if (!stat.isFile() && !stat.isFIFO()) throw new CliError('bad-file', `${path} is neither a file nor a pipe`)
    if (stat.uid !== process.getuid?.()) {
      throw new CliError('unsafe-file', `${path} belongs to another user, so it is not used`, {
        next: 'name a file of your own (--config, --token-file), or log in as its owner',
      })
    }
    if ((stat.mode & othersMask) !== 0) {
      throw new CliError('unsafe-file', `${path} can be read by others, so it is not used`, {
        next: `close it: chmod 600 ${path}`,
      })
    }
    return await readText(path, file)
  } catch (cause) {
    throw cause instanceof CliError ? cause : unreadable(path, cause)
  } finally {
    await file.close()
  }
}

async function readText(path: string, file: FileHandle): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  // A pipe does not tell its size beforehand.
  for await (const chunk of file.createReadStream({ autoClose: false })) {
    const bytes = Buffer.from(chunk)
    chunks.push(bytes)
    size += bytes.length
    if (size > privateFileSizeMax) throw new CliError('bad-file', `${path} has more than ${privateFileSizeMax} bytes`)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Writes a file that only its owner can read, whole or not at all, and its folders. Throws `CliError` `bad-file`. */
export async function writePrivateFile(path: string, text: string): Promise<void> {
  const fresh = `${path}.${randomUUID()}`
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(fresh, 'wx', 0o600)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(fresh, path)
  } catch (cause) {
    await rm(fresh, { force: true })
    throw new CliError('bad-file', `${path} cannot be written: ${codeOf(cause)}`, { cause })
  }
}

function unreadable(path: string, cause: unknown): CliError {
  return new CliError('bad-file', `${path} cannot be read: ${codeOf(cause)}`, { cause })
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? 'unknown error'
}
