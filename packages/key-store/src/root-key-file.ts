import { constants, type FileHandle, mkdir, open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { KeyStoreError } from './key-store-error.ts'
import type { RandomSource } from './sealing.ts'

/** A root key is for AES-256 and HKDF-SHA256. */
export const rootKeySizeBytes = 32

/**
 * Makes a root key and writes it to a new file (32 bytes, mode 0600; missing folders 0700). Throws `root-key-exists`
 * when something is there already: it may be the only key to data.
 */
export async function createRootKeyFile(path: string, random: RandomSource = Secret.random): Promise<Secret> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await using file = await openNew(path)
  using undo = new DisposableStack()
  const rootKey = undo.use(random(rootKeySizeBytes))
  await rootKey.expose((bytes) => file.writeFile(bytes))
  await file.sync()
  await using folder = await open(dirname(path), 'r')
  await folder.sync()
  undo.move()
  return rootKey
}

/** Reads a root key from its file. Throws `root-key-missing` and `root-key-unusable`. */
export async function readRootKeyFile(path: string): Promise<Secret> {
  await using file = await openOld(path)
  const stat = await file.stat()
  if (!stat.isFile() || stat.size !== rootKeySizeBytes) {
    throw new KeyStoreError('root-key-unusable', `${path} must be a file of ${rootKeySizeBytes} bytes`)
  }
  if ((stat.mode & 0o077) !== 0) {
    throw new KeyStoreError('root-key-unusable', `others may read ${path}: chmod 600 it, or make new keys if they did`)
  }
  const bytes = secretBytes(rootKeySizeBytes)
  const { bytesRead } = await file.read(bytes, 0, rootKeySizeBytes, 0)
  const rootKey = Secret.from(bytes)
  if (bytesRead === rootKeySizeBytes) return rootKey
  rootKey[Symbol.dispose]()
  throw new KeyStoreError('root-key-unusable', `${path} became shorter while it was read`)
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'EEXIST')) throw cause
    throw new KeyStoreError('root-key-exists', `${path} exists and is not replaced: name another file`, { cause })
  }
}

async function openOld(path: string): Promise<FileHandle> {
  try {
    return await open(path, constants.O_RDONLY)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT')) throw cause
    throw new KeyStoreError('root-key-missing', `no root key at ${path}: bring the file that belongs to this data`, {
      cause,
    })
  }
}
