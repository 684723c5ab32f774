const magic = 0xfd2f_b528
const blockTypeRle = 1

/**
 * How many bytes the Zstandard frame at the start of `bytes` takes, RFC 8878, 3.1.1, or null when it is not whole.
 * Where a compressed cluster ends is not said anywhere else, and `node:zlib` takes nothing behind a frame.
 */
export function zstdFrameSizeBytes(bytes: Uint8Array): number | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  if (view.byteLength < 6 || view.getUint32(0, true) !== magic) return null
  const descriptor = view.getUint8(4)
  let end = 5 + headerRestSizeBytes(descriptor)
  for (let last = false; !last; ) {
    if (end + 3 > view.byteLength) return null
    const header = view.getUint16(end, true) | (view.getUint8(end + 2) << 16)
    last = (header & 1) === 1
    const isRle = ((header >>> 1) & 3) === blockTypeRle
    end += 3 + (isRle ? 1 : header >>> 3)
  }
  const checksumSizeBytes = (descriptor & 4) === 0 ? 0 : 4
  return end + checksumSizeBytes <= view.byteLength ? end + checksumSizeBytes : null
}

/** Window descriptor, dictionary ID and content size, RFC 8878, 3.1.1.1.1. */
function headerRestSizeBytes(descriptor: number): number {
  const singleSegment = (descriptor >>> 5) & 1
  const dictionaryIdSizeBytes = [0, 1, 2, 4][descriptor & 3] ?? 0
  const contentSizeFlag = descriptor >>> 6
  const contentSizeBytes = contentSizeFlag === 0 ? singleSegment : 2 ** contentSizeFlag
  return 1 - singleSegment + dictionaryIdSizeBytes + contentSizeBytes
}
