import { constants } from 'node:fs'
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { Readable } from 'node:stream'
import type { CoreDump } from '@cryptvisor/host-agent-api'
import { SealedFileError, unsealStream } from '@cryptvisor/sealed-file'
import type { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { agentFiles } from '../config.ts'
import { errnoOf } from '../io-error.ts'
import { type DumpHeader, headerSizeMax, openDumpKey, parseDumpHeader } from './dump-header.ts'

/** As helpers name them. */
const namePattern = /^[0-9A-Za-z-]{1,80}\.core$/

const dumpsListedMax = 1000

/** Of Tink's AES256_GCM_HKDF_1MB (packages/sealed-file): a segment with its tag, the tag, and what stands before the first. */
const segmentSizeBytes = 1_048_576
const tagSizeBytes = 16
const streamHeaderSizeBytes = 40

/** The dumps of this host, the oldest first; what is no dump of ours is left out. */
export async function listDumps(folder: string): Promise<CoreDump[]> {
  const target = agentFiles.dumps(folder)
  const names = await readdir(target).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  })
  const dumps: CoreDump[] = []
  for (const name of names
    .filter((each) => namePattern.test(each))
    .sort()
    .slice(-dumpsListedMax)) {
    try {
      await using opened = await OpenedDump.open(join(target, name))
      const { key, createdAt, process } = opened.header
      dumps.push({ name, key, createdAt, process, fileSizeBytes: opened.fileSizeBytes })
    } catch (error) {
      if (!(error instanceof AgentError)) throw error
    }
  }
  return dumps
}

/** Opens one by its name. Throws AgentError `file-missing`. */
export async function openDumpNamed(folder: string, name: string): Promise<OpenedDump> {
  if (!namePattern.test(name)) throw new AgentError('file-missing', `this host has no core dump ${name}`)
  return await OpenedDump.open(join(agentFiles.dumps(folder), name))
}

/** A sealed core dump that is being read. */
export class OpenedDump implements AsyncDisposable {
  readonly header: DumpHeader
  readonly fileSizeBytes: number
  readonly #name: string
  readonly #file: FileHandle
  readonly #line: Buffer

  private constructor(name: string, file: FileHandle, fileSizeBytes: number, line: Buffer, header: DumpHeader) {
    this.#name = name
    this.#file = file
    this.#line = line
    this.fileSizeBytes = fileSizeBytes
    this.header = header
  }

  /** Throws AgentError `file-missing`, or `refused` for what is no sealed core dump. */
  static async open(path: string): Promise<OpenedDump> {
    const name = basename(path)
    let file: FileHandle
    try {
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    } catch (cause) {
      throw new AgentError('file-missing', `${name}: cannot be read: ${errnoOf(cause) ?? 'unknown error'}`, { cause })
    }
    try {
      const beginning = Buffer.alloc(headerSizeMax)
      const { bytesRead } = await file.read(beginning, 0, headerSizeMax, 0)
      const { size } = await file.stat()
      const { line, header } = parseDumpHeader(beginning.subarray(0, bytesRead), name)
      return new OpenedDump(name, file, size, line, header)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** How many bytes the dump has when it is opened: what the sealed file that follows the line is made of says so. */
  get plainSizeBytes(): number {
    const sealedBytes = this.fileSizeBytes - this.#line.length
    const segmentCount = Math.max(1, Math.ceil(sealedBytes / segmentSizeBytes))
    return Math.max(0, sealedBytes - streamHeaderSizeBytes - segmentCount * tagSizeBytes)
  }

  /**
   * The dump, plain, as it is read; the stream closes the file, and fails when any of it was changed or is missing at its end.
   * Throws AgentError `refused` when `hostKey` is not the one that it was sealed to.
   */
  plain(hostKey: Secret): Readable {
    const fileKey = openDumpKey(this.header, hostKey, this.#name)
    return Readable.from(this.#unseal(fileKey), { objectMode: false })
  }

  async *#unseal(fileKey: Secret): AsyncGenerator<Uint8Array> {
    await using file = this.#file
    using key = fileKey
    const rest = file.createReadStream({ start: this.#line.length, autoClose: false, highWaterMark: 1_048_576 })
    try {
      yield* unsealStream({ key, associatedData: this.#line }, rest)
    } catch (cause) {
      if (!(cause instanceof SealedFileError)) throw cause
      throw new AgentError('refused', `${this.#name}: was changed or cut: ${cause.message}`, { cause })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close()
  }
}
