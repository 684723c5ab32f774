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
  let filled = 0
  while (filled < sizeBytes) {
    const count = await file.read(bytes.subarray(filled), filled)
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}
