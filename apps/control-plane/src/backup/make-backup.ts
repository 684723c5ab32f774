import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { readCertificate } from '@cryptvisor/pki'
import { configPath, readConfig } from '../config.ts'
import { placesIn } from '../places.ts'
import { SetUpError } from '../set-up-error.ts'
import { archiveBytes, type Members, writeArchive } from './archive.ts'
import { type BackupManifest, contentOf } from './manifest.ts'
import { takeSnapshot } from './snapshot.ts'

/** What a backup is made with. */
export interface BackupParts {
  /** The data folder. */
  readonly folder: string
  readonly productVersion: string
  readonly clock: () => number
  /** Signs with the certificate authority's key. */
  readonly sign: (bytes: Uint8Array) => Promise<Uint8Array>
  /** Of the authority, PEM: the one whose key signs, whatever lies in the folder. */
  readonly ca: string
}

/** A backup that is ready to be read. Disposing of it removes what it was made of. */
export interface PreparedBackup extends AsyncDisposable {
  readonly manifest: BackupManifest
  readonly sizeBytes: number
  content(): AsyncIterable<Buffer>
}

/** Where copies of the database lie until they are read, in the data folder. */
export const snapshotPrefix = 'backup-'

/**
 * Takes everything that a restore needs but the root key: the database, the authority's certificate, the configuration. Works
 * while the control plane runs, and while it does not. Throws what the file system and SQLite say.
 */
export async function prepareBackup({ folder, productVersion, clock, sign, ca }: BackupParts): Promise<PreparedBackup> {
  const places = placesIn(folder)
  await using stack = new AsyncDisposableStack()
  const work = stack.adopt(await mkdtemp(join(places.folder, snapshotPrefix)), (path) =>
    rm(path, { recursive: true, force: true }),
  )
  const createdAt = clock()
  const copy = join(work, basename(places.database))
  const facts = await takeSnapshot({ source: places.database, target: copy })
  const { host } = await readConfig(folder)
  const config = await readFile(configPath(folder))
  const { sizeBytes, sha256 } = await hashFile(copy)
  const caBytes = Buffer.from(ca)
  const manifest: BackupManifest = {
    format: 'cryptvisor-control-plane-backup',
    version: 1,
    createdAt: new Date(createdAt).toISOString(),
    productVersion,
    ...facts,
    host,
    caFingerprint256: readCertificate(ca).fingerprint256,
    contents: {
      'config.json': contentOf(config),
      'ca.pem': contentOf(caBytes),
      'control-plane.sqlite': { sizeBytes, sha256 },
    },
  }
  const manifestBytes = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`)
  const members: Members = {
    'manifest.json': manifestBytes,
    'manifest.sig': await sign(manifestBytes),
    'config.json': config,
    'ca.pem': caBytes,
    'control-plane.sqlite': { path: copy, sizeBytes },
  }
  const made = stack.move()
  return {
    manifest,
    sizeBytes: archiveBytes(members),
    content: () => writeArchive(members, createdAt),
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  }
}

/**
 * Writes a backup to the new file `path` (mode 0600), whole or not at all. Throws `SetUpError` `bad-place` when something is
 * there already, and what the file system says.
 */
export async function writeBackup(backup: PreparedBackup, path: string): Promise<void> {
  if (existsSync(path))
    throw new SetUpError('bad-place', `${path} is there already, and is not replaced: name another file`)
  const part = `${path}.part`
  try {
    {
      await using file = await open(part, 'wx', 0o600)
      for await (const chunk of backup.content()) await file.writeFile(chunk)
      await file.sync()
    }
    await rename(part, path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) await rm(part, { force: true })
    throw error
  }
  await using folder = await open(dirname(path), 'r')
  await folder.sync()
}

async function hashFile(path: string): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256')
  await using file = await open(path, 'r')
  for await (const chunk of file.createReadStream({ autoClose: false })) hash.update(chunk as Buffer)
  return { sizeBytes: (await stat(path)).size, sha256: hash.digest('hex') }
}
