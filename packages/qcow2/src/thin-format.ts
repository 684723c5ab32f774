import { Qcow2Error } from './qcow2-error.ts'

/** Clusters of what we write: QEMU's default. */
export const thinClusterSizeBytes = 65_536

/** How many clusters an L2 table describes, and how many entries an L1 or refcount table has in a cluster. */
export const clustersPerTable = thinClusterSizeBytes / 8

/** Refcounts of 16 bits. */
export const refcountsPerBlock = thinClusterSizeBytes / 2

const sectorSizeBytes = 512

/** Throws a Qcow2Error `bad-size` unless the size is 512 bytes or more, whole sectors, and `maxBytes` at most. */
export function wholeSectors(virtualSizeBytes: number, maxBytes: number): void {
  const whole = Number.isSafeInteger(virtualSizeBytes) && virtualSizeBytes % sectorSizeBytes === 0
  if (whole && virtualSizeBytes > 0 && virtualSizeBytes <= maxBytes) return
  throw new Qcow2Error(
    'bad-size',
    `virtual size ${virtualSizeBytes}: expected a multiple of ${sectorSizeBytes} up to ${maxBytes}`,
  )
}
