import type { DataClusters } from '@cryptvisor/qcow2'
import type { Image } from './image.ts'
import type { Place } from './place.ts'

/** A raw disk seen as the thin qcow2 image of it, which lies nowhere: what is read of it is made then. */
export interface ThinView {
  readonly kind: 'thin'
  /** Where the disk lies. */
  readonly place: Place
  readonly disk: Image
  /** Which clusters have data, all marked; `null`: none has. */
  readonly data: DataClusters | null
  /** Of the qcow2 image. */
  readonly sizeBytes: number
}

/** What a transfer reads. */
export type Source = Image | ThinView

/** The image that lies in the file of a source. */
export function storedImageOf(source: Source): Image {
  return source.kind === 'thin' ? source.disk : source
}
