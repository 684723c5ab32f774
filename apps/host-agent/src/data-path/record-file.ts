import { recordSizeMax } from '@cryptvisor/key-record'
import {
  type Header,
  headerFieldsSizeBytes,
  parseHeader,
  type RecordCopy,
  type RecordCopyName,
  type RecordPlace,
  readRecordCopies,
  recordPlaceOf,
  writeRecordCopy,
} from '@cryptvisor/luks'
import { directAlignmentBytes, type StorageFile } from '@cryptvisor/storage'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { readAt, readUpTo, writeFully } from './file-bytes.ts'
import { openImageFile } from './image-file.ts'
import type { Place } from './place.ts'
import { openReadBack, pageAlignedBuffer } from './read-back.ts'

/** The key record of a layer, as it lies. A record that is a file counts as two equal copies. */
export interface LayerRecord {
  readonly header: Header
  readonly kept: RecordPlace
  readonly copies: Readonly<Record<RecordCopyName, RecordCopy>>
}

/**
 * Reads the key record of the layer at `luks`, or at `key` where its header has no room for it, and of the header no more
 * than that takes. Rejects with a LuksError or a DataPathError.
 */
export async function readLayerRecord(luks: Place, key: Place): Promise<LayerRecord> {
  await using file = await openImageFile(luks, 'read')
  return await attempt(`cannot read ${luks.path}`, async () => {
    const header = parseHeader(await readUpTo(file, headerFieldsSizeBytes))
    const kept = recordPlaceOf(header)
    if (kept === 'file') return { header, kept, copies: await readKeyFile(key) }
    // All but the copies stays zero, and no memory is touched for it.
    const bytes = new Uint8Array(header.payloadOffsetBytes)
    const area = bytes.subarray(copyOffsetOf(header, 'A'))
    if ((await readAt(file, area, copyOffsetOf(header, 'A'))) < area.length) {
      throw new DataPathError('truncated', `${luks.path} ends before its payload at ${header.payloadOffsetBytes}`)
    }
    return { header, kept, copies: readRecordCopies(bytes, header) }
  })
}

/**
 * Reads a key record that is a file: what it holds counts for both copies. One that is missing, or no file, is a damaged one:
 * it can be written anew. Rejects with a DataPathError `io`.
 */
export async function readKeyFile(place: Place): Promise<LayerRecord['copies']> {
  try {
    const copy = await readKeyCopy(place)
    return { A: copy, B: copy }
  } catch (error) {
    if (!(error instanceof DataPathError) || error.code === 'io') throw error
    const copy = { state: 'damaged', reason: error.message } as const
    return { A: copy, B: copy }
  }
}

async function readKeyCopy(place: Place): Promise<RecordCopy> {
  await using file = await openImageFile(place, 'read')
  const bytes = await attempt(`cannot read ${place.path}`, () => readUpTo(file, recordSizeMax + 1))
  return bytes.length > recordSizeMax
    ? { state: 'damaged', reason: `${place.path} has more than ${recordSizeMax} bytes` }
    : { state: 'text', text: Buffer.from(bytes).toString('latin1') }
}

/**
 * Writes one copy of the key record in a layer's header, durably, and reads it back. Rejects with a DataPathError,
 * `mismatch` among others.
 */
export async function writeLayerRecord(
  place: Place,
  header: Header,
  name: RecordCopyName,
  record: string,
): Promise<void> {
  const bytes = new Uint8Array(header.payloadOffsetBytes)
  writeRecordCopy(bytes, header, name, record)
  const start = copyOffsetOf(header, name)
  const copy = bytes.subarray(start, start + recordSizeMax)
  await attempt(`cannot write ${place.path}`, async () => {
    await using file = await openImageFile(place, 'write')
    await writeFully(file, copy, start)
    await file.sync()
  })
  await using file = await openReadBack(place)
  if (!(await attempt(`cannot read ${place.path} back`, () => readsAs(file, copy, start)))) {
    throw new DataPathError('mismatch', `${place.path}: copy ${name} of its key record does not read back as written`)
  }
}

function copyOffsetOf({ payloadOffsetBytes }: Header, name: RecordCopyName): number {
  return payloadOffsetBytes - (name === 'A' ? 2 : 1) * recordSizeMax
}

/** Whether a file holds `bytes` at `position`. Payloads of others begin anywhere: what is read are whole blocks around them. */
async function readsAs(file: StorageFile, bytes: Uint8Array, position: number): Promise<boolean> {
  const before = position % directAlignmentBytes
  const sizeBytes = Math.ceil((before + bytes.length) / directAlignmentBytes) * directAlignmentBytes
  const found = pageAlignedBuffer(sizeBytes)
  const count = await file.read(found, position - before)
  return found.subarray(before, Math.min(before + bytes.length, count)).equals(bytes)
}
