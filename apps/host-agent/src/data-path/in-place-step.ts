import { createHmac } from 'node:crypto'
import type { Secret } from '@cryptvisor/secret'
import { directAlignmentBytes } from '@cryptvisor/storage'
import { DataPathError } from './data-path-error.ts'
import type { Place } from './place.ts'

/** What is moved at once: no more than the shift, so that a step never writes what it reads. */
export const stepMaxBytes = 2_097_152

/** A disk that is to be rewritten where it lies. */
export interface InPlaceDisk {
  readonly place: Place
  readonly direction: 'encrypt' | 'decrypt'
  /** Of the disk, in whole data units. */
  readonly sizeBytes: number
  /** How far behind the plain bytes the encrypted ones lie: the LUKS header goes before them. A multiple of 512. */
  readonly shiftBytes: number
  readonly volumeKey: Secret
  /** Keys the digests of what is moved. */
  readonly digestKey: Secret
  /** Whether each step is read back and compared before the next one overwrites its source. */
  readonly verifies: boolean
  /** How many steps are looked at and noted together. */
  readonly stepsPerNote: number
}

/** A part of a disk that is moved at once. */
export interface Step {
  /** Where in the disk it begins. */
  readonly from: number
  readonly sizeBytes: number
  /** Where it lies on the device, and is to lie. */
  readonly source: number
  readonly target: number
}

/**
 * The step that comes when so many bytes of a disk are moved: from its end on when it is encrypted, else from its beginning. No
 * step is larger than the shift; each begins at a whole block of the disk. Throws a DataPathError for a shift below one block.
 */
export function stepAt(disk: InPlaceDisk, doneBytes: number): Step {
  const { direction, sizeBytes: diskBytes, shiftBytes } = disk
  const stepBytes = stepBytesOf(disk)
  if (direction === 'decrypt') {
    const sizeBytes = Math.min(stepBytes, diskBytes - doneBytes)
    return { from: doneBytes, sizeBytes, source: doneBytes + shiftBytes, target: doneBytes }
  }
  const end = diskBytes - doneBytes
  const from = Math.max(0, Math.ceil(end / stepBytes) - 1) * stepBytes
  return { from, sizeBytes: end - from, source: from, target: from + shiftBytes }
}

/** The keyed digest of a step's source, in hex; bound to where it lies and what is done with it. */
export function digestOf({ digestKey, direction }: InPlaceDisk, { from }: Step, source: Uint8Array): string {
  return digestKey.expose((key) =>
    createHmac('sha256', key).update(`${direction} ${from} ${source.length}\n`).update(source).digest('hex'),
  )
}

function stepBytesOf({ place, shiftBytes }: InPlaceDisk): number {
  const stepBytes = Math.min(stepMaxBytes, shiftBytes - (shiftBytes % directAlignmentBytes))
  if (stepBytes > 0) return stepBytes
  throw new DataPathError('size-mismatch', `${place.path}: a shift of ${shiftBytes} bytes leaves no room for a step`)
}
