export { attempt } from './attempt.ts'
export { checkQcow2 } from './check-qcow2.ts'
export { DataPathError, type DataPathErrorCode } from './data-path-error.ts'
export { writeFully } from './file-bytes.ts'
export { requireFreeSpace } from './free-space.ts'
export { type Image, type LuksImage, type PlainImage, paddedSizeBytes } from './image.ts'
export { InPlaceMove } from './in-place-move.ts'
export { inspectImage } from './inspect-image.ts'
export {
  createLayer,
  newLayerHeader,
  newVolumeKey,
  type OpenLayer,
  openLayer,
  volumeKeyOf,
} from './layer-file.ts'
export { type ImageReading, openReading } from './open-reading.ts'
export { Pace } from './pace.ts'
export { devicePlace, type Place } from './place.ts'
export { checkScan, scan } from './scan.ts'
export type { Source } from './source.ts'
export { openSource, type SourceFile, type SourceVersion, sameVersion } from './source-file.ts'
export type { LaneSettings } from './start-job.ts'
export { thinViewOf } from './thin-view.ts'
export { transfer } from './transfer.ts'
export { verify } from './verify.ts'
export { zeroPlace } from './zero-file.ts'
