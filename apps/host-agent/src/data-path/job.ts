import type { DataUnitSizeBytes } from '@cryptvisor/crypto'
import type { SharedDataClusters } from '@cryptvisor/qcow2'
import type { DataPathErrorCode } from './data-path-error.ts'
import type { ForeignCipher } from './image.ts'

/** One side of a job. The main thread holds its file open, and closes it only after all lanes have ended. */
export interface JobSide {
  /** For error texts. */
  readonly path: string
  /** Where the image begins in the file. */
  readonly offsetBytes: number
  /** The volume key of a LUKS payload, in memory that the main thread wipes when all lanes have taken it; `null`: plain. */
  readonly key: SharedArrayBuffer | null
  readonly unitSizeBytes: DataUnitSizeBytes
  /** Of a volume that somebody else made; left out: ours. */
  readonly foreign?: ForeignCipher
  /** Zero areas are left out of a plain target: its file has holes there already. */
  readonly skipsZeros: boolean
  /** What lies there is a raw disk, and the image is the thin qcow2 of it; left out: what lies there is the image. */
  readonly thin?: ThinSide
}

/** What a lane makes a thin image from, beside the disk. */
export interface ThinSide {
  readonly virtualSizeBytes: number
  /** Which clusters have data; `null`: none has. */
  readonly data: SharedDataClusters | null
}

/** Descriptors of one side's file, for a worker thread; `direct` passes the page cache by. `zeros`: there is no file. */
export type JobDescriptors = FileDescriptors | 'zeros'

interface FileDescriptors {
  readonly buffered: number
  readonly direct: number | null
}

/** A job: its chunks, worked off by lanes that share `control` and `pace`. */
export interface Job {
  /** A scan marks where its source has data; its target is the source again. */
  readonly task: 'copy' | 'compare' | 'scan'
  readonly source: JobSide
  readonly target: JobSide
  readonly sizeBytes: number
  /** Where the first chunk begins in both images: what is before is done. A multiple of 4096; 0 with spans. */
  readonly startBytes: number
  /** What is read, worked on and written at once; a multiple of 4096. */
  readonly chunkBytes: number
  /**
   * Where chunks lie when not one after the other: triples of source offset, target offset and size in bytes (float64), of
   * the images; `null`: all of both images.
   */
  readonly spans: SharedArrayBuffer | null
  readonly control: SharedArrayBuffer
  readonly pace: SharedArrayBuffer
  /** What a scan marks. */
  readonly data?: SharedDataClusters
}

/** What a worker thread is started with. */
export interface LaneData {
  readonly job: Job
  readonly lane: number
  readonly source: JobDescriptors
  readonly target: JobDescriptors
}

/** What a lane says: `ready` when it has taken the keys, then one of the others as its last word. */
export type LaneMessage =
  | { readonly kind: 'ready' }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: DataPathErrorCode; readonly message: string }

/** What is done at once. */
export interface Span {
  readonly sourceOffset: number
  readonly targetOffset: number
  readonly sizeBytes: number
}

const valuesPerSpan = 3

/** How many spans a job has. */
export function spanCountOf({ spans, sizeBytes, startBytes, chunkBytes }: Job): number {
  if (spans === null) return Math.ceil((sizeBytes - startBytes) / chunkBytes)
  return spans.byteLength / Float64Array.BYTES_PER_ELEMENT / valuesPerSpan
}

/** One of a job's spans. */
export function spanOf({ spans, sizeBytes, startBytes, chunkBytes }: Job, index: number): Span {
  if (spans === null) {
    const offset = startBytes + index * chunkBytes
    return { sourceOffset: offset, targetOffset: offset, sizeBytes: Math.min(chunkBytes, sizeBytes - offset) }
  }
  const [sourceOffset = 0, targetOffset = 0, spanBytes = 0] = new Float64Array(
    spans,
    index * valuesPerSpan * Float64Array.BYTES_PER_ELEMENT,
    valuesPerSpan,
  )
  return { sourceOffset, targetOffset, sizeBytes: spanBytes }
}

/** How many bytes of a job are done when those of its spans are that come before `index`. */
export function bytesBefore({ spans, sizeBytes, startBytes, chunkBytes }: Job, index: number): number {
  if (spans === null) return Math.min(startBytes + index * chunkBytes, sizeBytes)
  const values = new Float64Array(spans)
  let sum = 0
  for (let at = valuesPerSpan - 1; at < Math.min(index * valuesPerSpan, values.length); at += valuesPerSpan) {
    sum += values[at] ?? 0
  }
  return sum
}

/** Spans as a job takes them. */
export function packSpans(spans: readonly Span[]): SharedArrayBuffer {
  const memory = new SharedArrayBuffer(spans.length * valuesPerSpan * Float64Array.BYTES_PER_ELEMENT)
  const values = new Float64Array(memory)
  spans.forEach(({ sourceOffset, targetOffset, sizeBytes }, index) => {
    values.set([sourceOffset, targetOffset, sizeBytes], index * valuesPerSpan)
  })
  return memory
}
