import { type LuksImage, offsetBytesOf } from './image.ts'
import type { JobDescriptors, JobSide } from './job.ts'
import type { OpenImage } from './open-image.ts'
import type { PayloadFiles } from './payload.ts'
import { storedImageOf } from './source.ts'
import { ZeroFile } from './zero-file.ts'

/** One side of a job as its lanes take it. `skipsZeros`: it is written, and what is zero may stay a hole where it can. */
export function sideOf({ image: source }: OpenImage, skipsZeros: boolean): JobSide {
  const image = storedImageOf(source)
  return {
    path: image.place.path,
    offsetBytes: offsetBytesOf(image),
    key: image.kind === 'luks' ? sharedKeyOf(image) : null,
    unitSizeBytes: (image.kind === 'luks' ? image.unitSizeBytes : undefined) ?? 512,
    ...(image.kind === 'luks' && image.foreign !== undefined ? { foreign: image.foreign } : {}),
    skipsZeros: skipsZeros && image.kind === 'plain' && image.place.kind === 'file',
    ...(source.kind === 'thin'
      ? { thin: { virtualSizeBytes: source.disk.sizeBytes, data: source.data?.shared ?? null } }
      : {}),
  }
}

/** A copy of the volume key that the lanes take and that this thread wipes. */
function sharedKeyOf({ volumeKey }: LuksImage): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(volumeKey.sizeBytes)
  volumeKey.expose((bytes) => new Uint8Array(memory).set(bytes))
  return memory
}

/** The files of one side, for a lane in this thread. */
export function filesOf({ file, directFile }: OpenImage): PayloadFiles {
  return { buffered: file, direct: directFile }
}

/** What worker threads reach the files of one side by; `null` for files that they cannot reach. */
export function descriptorsOf({ file, directFile }: OpenImage): JobDescriptors | null {
  if (file instanceof ZeroFile) return 'zeros'
  if (file.descriptor === null) return null
  return { buffered: file.descriptor, direct: directFile?.descriptor ?? null }
}
