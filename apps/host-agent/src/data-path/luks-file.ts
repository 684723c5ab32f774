import { type Header, headerFieldsSizeBytes, parseHeader } from '@cryptvisor/luks'
import { directAlignmentBytes } from '@cryptvisor/storage'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { readUpTo, writeFully } from './file-bytes.ts'
import { requireFreeSpace } from './free-space.ts'
import { paddedSizeBytes } from './image.ts'
import { abandon, createImageFile, openImageFile, syncName } from './image-file.ts'
import type { Place } from './place.ts'
import { openReadBack, pageAlignedBuffer } from './read-back.ts'

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
export async function createLuksFile(place: Place, header: Uint8Array, payloadSizeBytes: number): Promise<void> {
  const { payloadOffsetBytes } = parseHeader(header)
  if (header.length !== payloadOffsetBytes) {
    throw new DataPathError(
      'size-mismatch',
      `the header for ${place.path} has ${header.length} bytes, not ${payloadOffsetBytes}`,
    )
  }
  await requireFreeSpace(place, header.length + paddedSizeBytes(payloadSizeBytes))
  await using file = await createImageFile(place)
  try {
    await attempt(`cannot write ${place.path}`, async () => {
      await writeFully(file, header, 0)
      await file.sync()
    })
    await checkReadsBack(place, header)
    await syncName(place)
  } catch (error) {
    await abandon(place, error)
  }
}

/**
 * Reads a LUKS file up to its payload. Rejects with a LuksError for a header that is not one, within its limits, and with a
 * DataPathError for a file that is not a regular one or cannot be read.
 */
export async function readLuksHeader(place: Place): Promise<LuksFileHeader> {
  await using file = await openImageFile(place, 'read')
  return await attempt(`cannot read ${place.path}`, async () => {
    const { sizeBytes } = await file.stat()
    const { payloadOffsetBytes } = parseHeader(await readUpTo(file, headerFieldsSizeBytes))
    const bytes = await readUpTo(file, payloadOffsetBytes)
    if (bytes.length < payloadOffsetBytes) {
      throw new DataPathError(
        'truncated',
        `${place.path} has ${sizeBytes} bytes and ends before its payload at ${payloadOffsetBytes}`,
      )
    }
    return { header: parseHeader(bytes), bytes, fileSizeBytes: sizeBytes }
  })
}

/**
 * Writes a header, all bytes up to its payload, over the beginning of the file or device that is there, durably, and reads it back.
 * Done again it does no harm. Rejects with a DataPathError, `mismatch` among others; then the header may be there in part.
 */
export async function rewriteLuksHeader(place: Place, header: Uint8Array): Promise<void> {
  await using file = await openImageFile(place, 'write')
  await attempt(`cannot write ${place.path}`, async () => {
    await writeFully(file, header, 0)
    await file.sync()
  })
  await checkReadsBack(place, header)
}

/** Without its header a payload is lost, so it is read back as a payload is. */
async function checkReadsBack(place: Place, header: Uint8Array): Promise<void> {
  await using file = await openReadBack(place)
  const found = pageAlignedBuffer(Math.ceil(header.length / directAlignmentBytes) * directAlignmentBytes)
  const count = await attempt(`cannot read ${place.path} back`, () => file.read(found, 0))
  if (found.subarray(0, count).equals(header)) return
  throw new DataPathError('mismatch', `${place.path}: its header does not read back as written`)
}
