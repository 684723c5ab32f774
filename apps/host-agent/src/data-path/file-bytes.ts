import type { StorageFile } from '@cryptvisor/storage'

/** Writes all of `bytes` at `position` of a file. */
export async function writeFully(file: StorageFile, bytes: Uint8Array, position: number): Promise<void> {
  for (let written = 0; written < bytes.length; ) {
    written += await file.write(bytes.subarray(written), position + written)
  }
}

/** The first `sizeBytes` bytes of a file, or as many as there are. */
export async function readUpTo(file: StorageFile, sizeBytes: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(sizeBytes)
  return bytes.subarray(0, await readAt(file, bytes, 0))
}

/** Fills `bytes` from `position` of a file on, as far as there is something; gives how much. */
export async function readAt(file: StorageFile, bytes: Uint8Array, position: number): Promise<number> {
  let filled = 0
  while (filled < bytes.length) {
    const count = await file.read(bytes.subarray(filled), position + filled)
    if (count === 0) break
    filled += count
  }
  return filled
}
