import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import { blockBytes, paddingBytes, parseTarHeader, tarHeader } from '@cryptvisor/support-bundle'
import { badBackup } from './manifest.ts'

/** What a backup is made of, in this order: what says what the rest is comes first. */
export const memberNames = ['manifest.json', 'manifest.sig', 'config.json', 'ca.pem', 'control-plane.sqlite'] as const
export type MemberName = (typeof memberNames)[number]
type SmallName = Exclude<MemberName, 'control-plane.sqlite'>

/** No member but the database is longer. */
const smallSizeMax = 65_536

/** How much is read at once. */
const chunkBytes = 1_048_576

/** A tar ends with two blocks of zeros. */
const endBytes = 2 * blockBytes

/** What goes into a backup: bytes, and the database as a file. */
export type Members = Readonly<Record<SmallName, Uint8Array>> & {
  readonly 'control-plane.sqlite': { readonly path: string; readonly sizeBytes: number }
}

/** How long the archive of `members` is. */
export function archiveBytes(members: Members): number {
  return memberNames.reduce((sum, name) => {
    const size = sizeOf(members, name)
    return sum + blockBytes + size + paddingBytes(size)
  }, endBytes)
}

/** The archive, a tar that any tool reads. Throws what reading the database file throws. */
export async function* writeArchive(members: Members, modified: number): AsyncGenerator<Buffer, void, undefined> {
  for (const name of memberNames) {
    const sizeBytes = sizeOf(members, name)
    yield tarHeader({ name, sizeBytes }, modified)
    if (name === 'control-plane.sqlite') yield* exactly(members[name].path, sizeBytes)
    else yield Buffer.from(members[name])
    yield Buffer.alloc(paddingBytes(sizeBytes))
  }
  yield Buffer.alloc(endBytes)
}

/** What was read of a backup; the database was written to a file, or hashed only. */
export interface ReadMembers {
  readonly small: Readonly<Record<SmallName, Buffer>>
  readonly database: { readonly sizeBytes: number; readonly sha256: string }
}

/**
 * Reads a backup as `writeArchive` writes it, and nothing else; writes the database to `target` where that is given.
 * Throws `SetUpError` `bad-backup`, and what the file system says.
 */
export async function readArchive(path: string, target: FileHandle | null): Promise<ReadMembers> {
  await using file = await open(path, 'r')
  const reader = new Reader(file)
  const small: Record<SmallName, Buffer> = { ...noMembers }
  let database = { sizeBytes: 0, sha256: '' }
  for (const name of memberNames) {
    const member = parseTarHeader(await reader.take(blockBytes))
    if (member?.name !== name) throw badBackup(`expected ${name} next, as «control-plane backup» writes it`)
    if (name === 'control-plane.sqlite') {
      database = { sizeBytes: member.sizeBytes, sha256: await reader.copy(member.sizeBytes, target) }
    } else {
      if (member.sizeBytes > smallSizeMax) throw badBackup(`${name} has more than ${smallSizeMax} bytes`)
      small[name] = await reader.take(member.sizeBytes)
    }
    requireZeros(await reader.take(paddingBytes(member.sizeBytes)))
  }
  requireZeros(await reader.take(endBytes))
  if (!(await reader.isAtEnd())) throw badBackup('something follows its end')
  return { small, database }
}

const noMembers: Readonly<Record<SmallName, Buffer>> = {
  'manifest.json': Buffer.alloc(0),
  'manifest.sig': Buffer.alloc(0),
  'config.json': Buffer.alloc(0),
  'ca.pem': Buffer.alloc(0),
}

class Reader {
  readonly #file: FileHandle

  constructor(file: FileHandle) {
    this.#file = file
  }

  async take(sizeBytes: number): Promise<Buffer> {
    const bytes = Buffer.alloc(sizeBytes)
    for (let done = 0; done < sizeBytes; ) {
      const { bytesRead } = await this.#file.read(bytes, done, sizeBytes - done, null)
      if (bytesRead === 0) throw badBackup('it ends too early')
      done += bytesRead
    }
    return bytes
  }

  /** Hashes the next bytes and writes them to `target`; gives the SHA-256, hex. */
  async copy(sizeBytes: number, target: FileHandle | null): Promise<string> {
    const hash = createHash('sha256')
    for (let left = sizeBytes; left > 0; ) {
      const chunk = await this.take(Math.min(left, chunkBytes))
      hash.update(chunk)
      await target?.writeFile(chunk)
      left -= chunk.length
    }
    return hash.digest('hex')
  }

  async isAtEnd(): Promise<boolean> {
    return (await this.#file.read(Buffer.alloc(1), 0, 1, null)).bytesRead === 0
  }
}

function sizeOf(members: Members, name: MemberName): number {
  return name === 'control-plane.sqlite' ? members[name].sizeBytes : members[name].length
}

async function* exactly(path: string, sizeBytes: number): AsyncGenerator<Buffer, void, undefined> {
  await using file = await open(path, 'r')
  const reader = new Reader(file)
  for (let left = sizeBytes; left > 0; ) {
    const chunk = await reader.take(Math.min(left, chunkBytes))
    yield chunk
    left -= chunk.length
  }
}

function requireZeros(bytes: Buffer): void {
  if (bytes.some((byte) => byte !== 0)) throw badBackup('there is something between its parts')
}
