import { constants } from 'node:fs'
import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import { type DiskFormat, headerBackupSizeMax } from '@cryptvisor/control-plane-api'
import { CliError } from './cli-error.ts'
import { formatOfContent } from './image-magic.ts'

/** The API's own limit. */
const imageSizeMax = 2 ** 50

/** What disks are read and written in. */
const sectorSize = 512

/** As much of an image as telling its format needs. */
const headSize = 512

/** One piece of an image on its way; bounds the memory that an import takes. */
const pieceSize = 1_048_576

/** How every backup of a header begins. */
const headerBackupBeginning = Buffer.from('{"format":"cryptvisor-luks-header"')

/** Where an image lies, and the option that named it, for errors. */
interface Source {
  readonly path: string
  readonly option?: string
}

/** An image that was checked and is kept open, so that what is sent is what was checked. */
export class ImageFile implements AsyncDisposable {
  readonly format: DiskFormat
  readonly sizeBytes: number
  readonly #source: Source
  readonly #handle: FileHandle

  private constructor(source: Source, format: DiskFormat, sizeBytes: number, handle: FileHandle) {
    this.#source = source
    this.format = format
    this.sizeBytes = sizeBytes
    this.#handle = handle
  }

  /**
   * Opens a LUKS volume that is to be imported with what is in it; that is in `format`, raw when it is left out. Throws
   * `CliError` `bad-file` for another file.
   */
  static async openVolume(source: Source, format: DiskFormat | undefined): Promise<ImageFile> {
    const handle = await openImage(source)
    try {
      const sizeBytes = await sizeOf(source, handle)
      if (formatOfContent(await readHead(source, handle)) !== 'LUKS') {
        throw bad(source, 'is not a LUKS volume', 'leave --luks out to import it as a plain image')
      }
      return new ImageFile(source, format ?? 'raw', sizeBytes, handle)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** Opens a backup of a LUKS header as `disk header-backup` writes it. Throws `CliError` `bad-file` for another file. */
  static async openHeaderBackup(source: Source): Promise<ImageFile> {
    const handle = await openImage(source)
    try {
      const sizeBytes = await sizeOf(source, handle)
      const head = await readHead(source, handle)
      if (
        sizeBytes > headerBackupSizeMax ||
        !head.subarray(0, headerBackupBeginning.length).equals(headerBackupBeginning)
      ) {
        throw bad(source, 'is not a backup of a header', 'give a file that «cryptvisor disk header-backup» has written')
      }
      return new ImageFile(source, 'raw', sizeBytes, handle)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /**
   * Opens an image: a regular file or a block device, not empty. Its format is `format`, else that of the file's name,
   * and never guessed from the content: that only serves to refuse what is likely a mistake. Throws `CliError`
   * `bad-file`.
   */
  static async open(source: Source, format: DiskFormat | undefined): Promise<ImageFile> {
    const handle = await openImage(source)
    try {
      const sizeBytes = await sizeOf(source, handle)
      const named = format ?? (source.path.toLowerCase().endsWith('.qcow2') ? 'qcow2' : 'raw')
      checkFormat(source, named, format !== undefined, await readHead(source, handle))
      if (named === 'raw') checkWhole(source, sizeBytes)
      return new ImageFile(source, named, sizeBytes, handle)
    } catch (error) {
      await handle.close()
      throw error
    }
  }

  /** The content from its beginning, in pieces; `sent` hears how much was taken. Throws `CliError` `bad-file`. */
  async *content(sent: (doneBytes: number) => void): AsyncGenerator<Buffer, void, undefined> {
    let doneBytes = 0
    while (doneBytes < this.sizeBytes) {
      const piece = Buffer.allocUnsafe(Math.min(pieceSize, this.sizeBytes - doneBytes))
      const { bytesRead } = await readAt(this.#source, this.#handle, piece, doneBytes)
      if (bytesRead === 0)
        throw bad(this.#source, 'became shorter while it was sent', 'import it when nothing writes to it')
      doneBytes += bytesRead
      yield piece.subarray(0, bytesRead)
      sent(doneBytes)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close()
  }
}

async function openImage(source: Source): Promise<FileHandle> {
  try {
    const found = await stat(source.path)
    if (!found.isFile() && !found.isBlockDevice()) {
      throw bad(source, 'is neither a regular file nor a block device', 'give the image of a disk')
    }
    return await open(source.path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    if (cause instanceof CliError) throw cause
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') throw bad(source, 'does not exist', 'check the path')
    throw bad(source, `cannot be read: ${code}`, 'check its permissions', cause)
  }
}

async function sizeOf(source: Source, handle: FileHandle): Promise<number> {
  const found = await handle.stat({ bigint: true })
  const size = found.isBlockDevice() ? await blockDeviceSize(source, found.rdev) : Number(found.size)
  if (size === 0) throw bad(source, 'is empty', 'give the image of a disk')
  if (size > imageSizeMax) throw bad(source, 'is larger than 1 PiB', 'give a smaller image')
  return size
}

/** Linux tells a device's size in units of 512 bytes under its numbers (as glibc's makedev packs them). */
async function blockDeviceSize(source: Source, rdev: bigint): Promise<number> {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn)
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn)
  try {
    return Number(await readFile(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512
  } catch (cause) {
    throw bad(source, 'is a block device whose size the system does not tell', 'import a file instead', cause)
  }
}

async function readHead(source: Source, handle: FileHandle): Promise<Buffer> {
  const head = Buffer.alloc(headSize)
  const { bytesRead } = await readAt(source, handle, head, 0)
  return head.subarray(0, bytesRead)
}

async function readAt(source: Source, handle: FileHandle, buffer: Buffer, position: number) {
  try {
    return await handle.read(buffer, 0, buffer.length, position)
  } catch (cause) {
    // Node's file errors carry the system's code.
    const { code } = cause as NodeJS.ErrnoException
    throw bad(source, `cannot be read: ${code}`, 'check the file and the disk that it lies on', cause)
  }
}

/** A part of a sector is no part of a disk; a qcow2 image says its size itself. */
function checkWhole(source: Source, sizeBytes: number): void {
  if (sizeBytes % sectorSize === 0) return
  const what = `has ${sizeBytes} bytes, and a disk has a multiple of ${sectorSize}`
  throw bad(source, what, `pad it first: truncate -s %${sectorSize} ${source.path}`)
}

function checkFormat(source: Source, format: DiskFormat, wasGiven: boolean, head: Buffer): void {
  const found = formatOfContent(head)
  if (format === 'qcow2' && found !== 'qcow2') {
    throw bad(source, 'is not a qcow2 image', 'give --format raw if it is a raw one')
  }
  if (format === 'raw' && found !== null && !wasGiven) {
    const next = `${adviceFor(found)}, or give --format raw to take it as a raw disk all the same`
    throw bad(source, `begins like a ${found} image, and no format was given`, next)
  }
}

function adviceFor(found: string): string {
  switch (found) {
    case 'qcow2':
      return 'give --format qcow2'
    case 'LUKS':
      return 'import what is in it with its passphrase (cryptvisor disk import VM FILE --luks)'
    default:
      return 'convert it (qemu-img convert -O raw)'
  }
}

function bad({ path, option }: Source, what: string, next: string, cause?: unknown): CliError {
  if (option === undefined) return new CliError('bad-file', `${path} ${what}`, { next, cause })
  return new CliError('bad-file', `${option}: ${path} ${what}`, { field: option, next, cause })
}
