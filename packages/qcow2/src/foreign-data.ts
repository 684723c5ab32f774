import type { Qcow2Header } from './header.ts'
import { Qcow2Error } from './qcow2-error.ts'

/**
 * Refuses an image that is not whole by itself, with a Qcow2Error: `backing-file`, `external-data-file`, `encrypted`,
 * `not-clean` for one that was not closed or is known to be damaged.
 */
export function refuseForeignData(header: Qcow2Header): void {
  if (header.hasBackingFile) {
    throw new Qcow2Error('backing-file', 'the qcow2 image has a backing file: flatten it first (qemu-img convert)')
  }
  if (header.hasExternalDataFile) {
    throw new Qcow2Error('external-data-file', 'the qcow2 image keeps its data in another file: convert it first')
  }
  if (header.encryption !== 'none') {
    throw new Qcow2Error('encrypted', `the qcow2 image is encrypted itself (${header.encryption}): decrypt it first`)
  }
  if (header.dirty || header.corrupt) {
    throw new Qcow2Error('not-clean', 'the qcow2 image was not closed cleanly: repair it first (qemu-img check -r all)')
  }
}
