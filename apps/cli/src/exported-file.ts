import { createHash } from 'node:crypto'
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Readable } from 'node:stream'
import { CliError } from './cli-error.ts'

/**
 * Writes `content` to a file that is not there yet, which only its owner can read: into `<path>.part` first, so that the
 * file is there when all of it is on the disk. Gives its SHA-256. Throws `CliError` `bad-file`.
 */
export async function writeExport(
  path: string,
  content: Readable,
  written: (doneBytes: number) => void,
): Promise<string> {
  const part = `${path}.part`
  let file: FileHandle
  try {
    file = await openNew(part)
  } catch (error) {
    content.destroy()
    throw error
  }
  try {
    const hash = createHash('sha256')
    let doneBytes = 0
    try {
      for await (const chunk of content) {
        // A stream of bytes.
        const bytes = chunk as Uint8Array
        hash.update(bytes)
        await writing(part, () => file.writeFile(bytes))
        doneBytes += bytes.length
        written(doneBytes)
      }
      await writing(part, () => file.sync())
    } finally {
      await writing(part, () => file.close())
    }
    await requireFree(path)
    await writing(path, () => rename(part, path))
    await writing(path, () => syncFolder(dirname(path)))
    return hash.digest('hex')
  } catch (error) {
    await removePart(part)
    throw error
  }
}

/** Throws `CliError` when something is at `path` already. */
export async function requireFree(path: string): Promise<void> {
  try {
    await lstat(path)
  } catch (cause) {
    if (codeOf(cause) === 'ENOENT') return
    throw bad(`${path} cannot be written: ${codeOf(cause)}`, 'check the path', cause)
  }
  throw bad(`${path} is there already`, 'it is not overwritten: choose another name, or remove it')
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    const code = codeOf(cause)
    if (code === 'EEXIST') throw bad(`${path} is there already`, 'remove it, if no other export writes it', cause)
    throw bad(`${path} cannot be made: ${code}`, 'check the folder and its permissions', cause)
  }
}

/** What fails of `write` is the disk's fault, and not the stream's. */
async function writing(path: string, write: () => Promise<void>): Promise<void> {
  try {
    await write()
  } catch (cause) {
    throw bad(`${path} cannot be written: ${codeOf(cause)}`, 'check the disk that it lies on', cause)
  }
}

async function removePart(path: string): Promise<void> {
  try {
    await rm(path, { force: true })
  } catch (cause) {
    throw bad(`${path} is left over: ${codeOf(cause)}`, 'remove it: it holds data of the disk, plain', cause)
  }
}

async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, 'r')
  await folder.sync()
}

function bad(what: string, next: string, cause?: unknown): CliError {
  return new CliError('bad-file', what, { next, cause })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'
}
