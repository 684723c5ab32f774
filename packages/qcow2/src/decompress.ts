import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { Qcow2Error } from './qcow2-error.ts'
import { zstdFrameSizeBytes } from './zstd-frame.ts'

/** Limit on the memory that a foreign Zstandard frame may ask for: 8 MiB, what RFC 8878, 3.1.1.1.2 wants supported. */
const zstdWindowLogMax = 23

/**
 * The plain form of a compressed cluster, exactly `clusterSizeBytes`. What follows its data is passed over, since the
 * descriptor counts whole sectors. Throws a Qcow2Error `bad-compressed-cluster`.
 */
export function decompress(method: 'zlib' | 'zstd', compressed: Uint8Array, clusterSizeBytes: number): Buffer {
  let plain: Buffer
  try {
    plain = method === 'zlib' ? inflate(compressed, clusterSizeBytes) : unpackZstd(compressed, clusterSizeBytes)
  } catch (cause) {
    throw new Qcow2Error('bad-compressed-cluster', `a compressed cluster is not valid ${method}`, { cause })
  }
  if (plain.length !== clusterSizeBytes) {
    throw new Qcow2Error(
      'bad-compressed-cluster',
      `a compressed cluster has ${plain.length} bytes: expected ${clusterSizeBytes}`,
    )
  }
  return plain
}

/** A cluster that is whole without the end of its stream counts, as in QEMU. */
function inflate(compressed: Uint8Array, clusterSizeBytes: number): Buffer {
  return inflateRawSync(compressed, { maxOutputLength: clusterSizeBytes, finishFlush: constants.Z_SYNC_FLUSH })
}

function unpackZstd(compressed: Uint8Array, clusterSizeBytes: number): Buffer {
  const frame = compressed.subarray(0, zstdFrameSizeBytes(compressed) ?? compressed.length)
  return zstdDecompressSync(frame, {
    maxOutputLength: clusterSizeBytes,
    params: { [constants.ZSTD_d_windowLogMax]: zstdWindowLogMax },
  })
}
