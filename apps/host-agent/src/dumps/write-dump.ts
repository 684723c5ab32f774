import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { sealStream } from '@cryptvisor/sealed-file'
import { AgentError } from '../agent-error.ts'
import { agentFiles } from '../config.ts'
import { beginDump } from './dump-header.ts'
import { readDumpKey } from './dump-key.ts'

/** What core dumps may take; what goes beyond is not kept. */
interface DumpLimits {
  readonly sizeBytesMax: number
  /** The oldest go when there are more. */
  readonly countMax: number
  /** What stays free on the file system. */
  readonly freeBytesMin: number
}

const gib = 1_073_741_824

const dumpLimits: DumpLimits = { sizeBytesMax: 8 * gib, countMax: 16, freeBytesMin: gib }

/** What a helper that was killed has left is removed after this time. */
const partAgeMsMax = 86_400_000

interface NewDump {
  readonly folder: string
  readonly pid: number
  readonly command: string
  readonly now: Date
  readonly limits?: DumpLimits
}

/**
 * Reads a core dump and writes it sealed to the host key, as it comes: no plaintext reaches a disk, and a megabyte or two is in
 * memory. Gives the name of the file, which is there when all of it is on the disk. Throws AgentError `refused` where there is no
 * key to seal with, `no-space`; nothing is left then.
 */
export async function writeDump(source: AsyncIterable<Uint8Array>, dump: NewDump): Promise<string> {
  const { folder, pid, command, now, limits = dumpLimits } = dump
  const dumpKey = await readDumpKey(folder)
  if (dumpKey === null) {
    throw new AgentError('refused', 'this host has no host key to seal with, so the core dump was not kept')
  }
  const target = agentFiles.dumps(folder)
  await mkdir(target, { mode: 0o700, recursive: true })
  await tidyUp(target, limits.countMax - 1, now)
  const { bavail, bsize } = await statfs(target)
  const sizeBytesMax = Math.min(limits.sizeBytesMax, bavail * bsize - limits.freeBytesMin)
  const printable = command.replaceAll(/[^ -~]/g, '?').slice(0, 64)
  const { line, fileKey } = beginDump(dumpKey, { createdAt: now.toISOString(), process: { pid, command: printable } })
  using held = fileKey
  const name = `${now.toISOString().replaceAll(/[-:.]/g, '')}-${pid}-${randomBytes(4).toString('hex')}.core`
  const part = join(target, `${name}.part`)
  try {
    {
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW
      await using file = await open(part, flags, 0o600)
      await file.writeFile(line)
      const limited = atMost(source, sizeBytesMax)
      for await (const piece of sealStream({ key: held, associatedData: line }, limited)) await file.writeFile(piece)
      await file.sync()
    }
    await rename(part, join(target, name))
    await using directory = await open(target, constants.O_RDONLY | constants.O_DIRECTORY)
    await directory.sync()
    return name
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
}

async function* atMost(source: AsyncIterable<Uint8Array>, sizeBytesMax: number): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0
  for await (const chunk of source) {
    sizeBytes += chunk.length
    if (sizeBytes > sizeBytesMax) {
      throw new AgentError(
        'no-space',
        `the core dump takes more than the ${Math.max(0, sizeBytesMax)} bytes that it may`,
      )
    }
    yield chunk
  }
}

/** Removes the oldest dumps beyond `countMax`, and what helpers that were killed have left. */
async function tidyUp(target: string, countMax: number, now: Date): Promise<void> {
  const names = (await readdir(target)).sort()
  const whole = names.filter((name) => name.endsWith('.core'))
  for (const name of whole.slice(0, Math.max(0, whole.length - countMax))) await rm(join(target, name), { force: true })
  for (const name of names.filter((name) => name.endsWith('.core.part'))) {
    const found = await stat(join(target, name)).catch(() => null)
    if (found !== null && now.getTime() - found.mtimeMs > partAgeMsMax) await rm(join(target, name), { force: true })
  }
}
