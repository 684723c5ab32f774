import { randomBytes } from 'node:crypto'
import type { Qmp } from './qmp.ts'

/**
 * The sizes of the pieces of memory that keys were in, in the steps of glibc's allocator: passphrase and master secret, and the two key
 * schedules of AES-256 that nettle keeps together.
 */
const sizesBytes = [40, 56, 72, 88, 104, 120, 984, 1000, 1016]

/** How many pieces of each size are taken at one time: a thread’s cache keeps seven, and what was freed before those lies elsewhere. */
const piecesOfEach = 12

/**
 * Has this QEMU take the small pieces of memory that it freed lately, fill them and free them again. What it frees it does not wipe: the
 * end of a passphrase and the key schedule of a master secret stay there until somebody else gets the piece (seen with QEMU 7.2 and nettle).
 * Names that nobody is called by are as good for that as any.
 */
export async function overwriteFreed(qmp: Qmp): Promise<void> {
  const objects = sizesBytes.flatMap((sizeBytes) =>
    Array.from({ length: piecesOfEach }, (_, piece) => ({
      id: `nobody-${sizeBytes}-${piece}`,
      identity: randomBytes(sizeBytes)
        .toString('hex')
        .slice(0, sizeBytes - 1),
    })),
  )
  // The monitor does one after the other.
  await Promise.all(objects.map((object) => qmp.execute('object-add', { 'qom-type': 'authz-simple', ...object })))
  await Promise.all(objects.map(({ id }) => qmp.execute('object-del', { id })))
}
