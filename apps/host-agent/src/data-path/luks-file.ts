import { type Header, headerFieldsSizeBytes, parseHeader } from '@cryptvisor/luks'
import { DataPathError } from './data-path-error.ts'
import { requireFreeSpace } from './free-space.ts'
import { paddedSizeBytes } from './image.ts'
import { directAlignmentBytes, openReadBack, pageAlignedBuffer } from './read-back.ts'
import { readUpTo } from './read-up-to.ts'
import { abandon, attempt, createExclusive, openRegular, syncFolderOf } from './regular-file.ts'
import { writeFully } from './write-fully.ts'

/** A LUKS file's header, read and checked. */
export interface LuksFileHeader {
  readonly header: Header
  /** All bytes up to the payload: key material and record copies too. */
  readonly bytes: Uint8Array
  readonly fileSizeBytes: number
}

/**
 * Creates a LUKS file that holds `header`, all bytes up to its payload, and no payload yet. It is new (a DataPathError
 * `already-exists` otherwise), readable by its owner alone, and on disk when this resolves. First makes sure that the
 * header and a payload of `payloadSizeBytes` fit (`no-space`), and at last that it reads back as written (`mismatch`). When
 * it rejects there is no file.
 */
export async function createLuksFile(path: string, header: Uint8Array, payloadSizeBytes: number): Promise<void> {
  const { payloadOffsetBytes } = parseHeader(header)
  if (header.length !== payloadOffsetBytes) {
    throw new DataPathError(
      'size-mismatch',
      `the header for ${path} has ${header.length} bytes, not ${payloadOffsetBytes}`,
    )
  }
  await requireFreeSpace(path, header.length + paddedSizeBytes(payloadSizeBytes))
  await using handle = await createExclusive(path)
  try {
    await attempt(`cannot write ${path}`, async () => {
      await writeFully(handle, header, 0)
      await handle.sync()
    })
    await checkReadsBack(path, header)
    await syncFolderOf(path)
  } catch (error) {
    await abandon(path, handle, error)
  }
}

/**
 * Reads a LUKS file up to its payload. Rejects with a LuksError for a header that is not one, within its limits, and with a
 * DataPathError for a file that is not a regular one or cannot be read.
 */
export async function readLuksHeader(path: string): Promise<LuksFileHeader> {
  await using handle = await openRegular(path, 'read')
  return await attempt(`cannot read ${path}`, async () => {
    const { size } = await handle.stat()
    const { payloadOffsetBytes } = parseHeader(await readUpTo(handle, headerFieldsSizeBytes))
    const bytes = await readUpTo(handle, payloadOffsetBytes)
    if (bytes.length < payloadOffsetBytes) {
      throw new DataPathError(
        'truncated',
        `${path} has ${size} bytes and ends before its payload at ${payloadOffsetBytes}`,
      )
    }
    return { header: parseHeader(bytes), bytes, fileSizeBytes: size }
  })
}

/** Without its header a payload is lost, so it is read back as a payload is. */
async function checkReadsBack(path: string, header: Uint8Array): Promise<void> {
  const { handle } = await openReadBack(path, 0)
  await using _ = handle
  const found = pageAlignedBuffer(Math.ceil(header.length / directAlignmentBytes) * directAlignmentBytes)
  const { bytesRead } = await attempt(`cannot read ${path} back`, () => handle.read(found, 0, found.length, 0))
  if (found.subarray(0, bytesRead).equals(header)) return
  throw new DataPathError('mismatch', `${path}: its header does not read back as written`)
}
