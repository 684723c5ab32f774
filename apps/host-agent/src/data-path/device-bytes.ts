import { directAlignmentBytes, type StorageFile } from '@cryptvisor/storage'
import { DataPathError } from './data-path-error.ts'
import { paddedSizeBytes } from './image.ts'

/** How often in a row a device may take or give less than one block before it counts as broken. */
const idleMax = 3

/**
 * Reads `sizeBytes` at `position` into the beginning of `buffer`. Past the page cache whole blocks are read, for which the
 * buffer has to have room. Rejects with a DataPathError `truncated` where the device ends before that, `io`, or the storage's error.
 */
export async function readDevice(
  file: StorageFile,
  buffer: Buffer,
  position: number,
  sizeBytes: number,
): Promise<void> {
  await inPieces(file, sizeBytes, async (done) => {
    const missing = sizeBytes - done
    const asked = file.direct ? paddedSizeBytes(missing, directAlignmentBytes) : missing
    const count = await file.read(buffer.subarray(done, done + asked), position + done)
    if (count === 0) throw new DataPathError('truncated', `${file.path} ends at ${position + done}`)
    return Math.min(count, missing)
  })
}

/** Writes all of `bytes` at `position`; past the page cache both have to be whole blocks. Rejects with what the storage rejects with. */
export async function writeDevice(file: StorageFile, bytes: Buffer, position: number): Promise<void> {
  await inPieces(file, bytes.length, (done) => file.write(bytes.subarray(done), position + done))
}

/** Goes on where a piece ended; past the page cache the next one begins at a whole block again. */
async function inPieces(
  file: StorageFile,
  sizeBytes: number,
  move: (doneBytes: number) => Promise<number>,
): Promise<void> {
  let idleCount = 0
  for (let done = 0; done < sizeBytes; ) {
    const count = await move(done)
    const kept = file.direct && done + count < sizeBytes ? count - (count % directAlignmentBytes) : count
    idleCount = kept === 0 ? idleCount + 1 : 0
    if (idleCount > idleMax) throw new DataPathError('io', `${file.path} moves less than a block at a time`)
    done += kept
  }
}
