/** Bytes to write at an offset of a volume. */
export interface HeaderWrite {
  readonly offsetBytes: number
  readonly bytes: Uint8Array
}

/**
 * A change of a header, made in memory. Whoever writes it does so in the order of `writes` and syncs each before the next:
 * then a volume opens at every moment, also when a write is torn between sectors of 512 bytes.
 */
export interface HeaderChange {
  /** All bytes up to the payload, as they are at the end. */
  readonly bytes: Uint8Array
  readonly writes: readonly HeaderWrite[]
}

/** What a device takes directly. Bytes around a change are written as they are, so that writes are whole blocks. */
const blockSizeBytes = 4096

/** The write that brings a range of `bytes`, all those up to the payload, to the disk. It takes a copy. */
export function writeOf(bytes: Uint8Array, start: number, end: number): HeaderWrite {
  const offsetBytes = Math.floor(start / blockSizeBytes) * blockSizeBytes
  const endBytes = Math.min(Math.ceil(end / blockSizeBytes) * blockSizeBytes, bytes.length)
  return { offsetBytes, bytes: Uint8Array.from(bytes.subarray(offsetBytes, endBytes)) }
}
