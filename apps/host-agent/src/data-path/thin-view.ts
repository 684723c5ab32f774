import { type DataClusters, ThinImage } from '@cryptvisor/qcow2'
import type { Image } from './image.ts'
import type { ThinView } from './source.ts'

/** The thin qcow2 image of a raw disk. Throws a Qcow2Error `bad-size` for an empty one that none can be made of. */
export function thinViewOf(disk: Image, data: DataClusters | null): ThinView {
  const { sizeBytes } = data === null ? ThinImage.empty(disk.sizeBytes) : ThinImage.with(data)
  return { kind: 'thin', place: disk.place, disk, data, sizeBytes }
}
