import { createXts, type DataUnitCipher, type DataUnitMemory, dataUnitSizeBytes } from '@cryptvisor/crypto'
import type { DataUnitDecryptor } from '@cryptvisor/luks'
import type { ThinImage } from '@cryptvisor/qcow2'
import { Secret, secretBytes } from '@cryptvisor/secret'
import { alignmentBytes, type BlockFile } from './block-file.ts'
import { DataPathError, dataPathErrorOf } from './data-path-error.ts'
import { paddedSizeBytes } from './image.ts'
import type { JobSide, ThinSide } from './job.ts'
import type { LaneParts } from './lane-parts.ts'

/** Zero areas of this size become holes in a plain target. */
const holeSizeBytes = 65_536

const zeros = Buffer.alloc(holeSizeBytes)

/** The files of one side: `direct` takes what is aligned, where it is there. */
export interface PayloadFiles {
  readonly buffered: BlockFile
  readonly direct: BlockFile | null
}

/** The plaintext of an image in an open file, read and written by one lane: calls block. */
export class Payload implements Disposable {
  readonly #side: JobSide
  readonly #files: PayloadFiles
  /** What is written goes through it. */
  readonly #cipher: DataUnitCipher | null
  /** What is read goes through it. */
  readonly #decryptor: DataUnitDecryptor | null
  readonly #thin: ThinImage | null

  /** Takes a copy of the volume key. `memory` holds the buffers that it is to work on. `parts`: what `partsFor` gives. */
  constructor(side: JobSide, files: PayloadFiles, memory: DataUnitMemory, parts: LaneParts = {}) {
    this.#side = side
    this.#files = files
    this.#thin = side.thin === undefined ? null : thinImageOf(side.thin, parts)
    const { foreign, unitSizeBytes } = side
    if (side.key === null) {
      this.#cipher = null
      this.#decryptor = null
    } else {
      // A copy: the other lanes have the same memory.
      const bytes = secretBytes(side.key.byteLength)
      bytes.set(new Uint8Array(side.key))
      using key = Secret.from(bytes)
      this.#cipher = foreign === undefined ? createXts(key, { unitSizeBytes, memory }) : null
      this.#decryptor = this.#cipher ?? foreignDecryptor(key, side, parts)
    }
  }

  /**
   * Reads `sizeBytes` of the image from `offset` on into the beginning of `buffer`, which has room for whole chunks. Zeros
   * follow up to a whole data unit of 4096 bytes. Throws a DataPathError: `truncated`, `io`, `padding-not-zero`.
   */
  read(buffer: Buffer, offset: number, sizeBytes: number): void {
    if (this.#thin === null) this.#readStored(buffer, offset, sizeBytes)
    else this.#readThin(this.#thin, buffer, offset, sizeBytes)
  }

  /**
   * Writes `sizeBytes` of the image at `offset`, out of the beginning of `buffer`, whose contents are lost. Into LUKS go
   * whole data units. A foreign volume is not written: a DataPathError `unsupported-image`.
   */
  write(buffer: Buffer, offset: number, sizeBytes: number): void {
    if (this.#side.foreign !== undefined) {
      throw new DataPathError('unsupported-image', `${this.#side.path}: a volume of somebody else's is only read`)
    }
    if (this.#cipher !== null) {
      const units = buffer.subarray(0, paddedSizeBytes(sizeBytes, this.#side.unitSizeBytes))
      this.#cipher.encrypt(units, offset / dataUnitSizeBytes)
      this.#writeFully(units, offset)
    } else if (this.#side.skipsZeros) {
      for (const [start, end] of dataRuns(buffer.subarray(0, sizeBytes))) {
        this.#writeFully(buffer.subarray(start, end), offset + start)
      }
    } else {
      this.#writeFully(buffer.subarray(0, sizeBytes), offset)
    }
  }

  [Symbol.dispose](): void {
    this.#decryptor?.[Symbol.dispose]()
  }

  #readThin(thin: ThinImage, buffer: Buffer, offset: number, sizeBytes: number): void {
    for (const piece of thin.pieces(offset, offset + sizeBytes)) {
      const start = piece.offsetBytes - offset
      if (piece.kind === 'metadata') buffer.set(piece.bytes, start)
      else if (piece.kind === 'padding') buffer.fill(0, start, start + piece.sizeBytes)
      else this.#readStored(buffer.subarray(start), piece.guestOffsetBytes, piece.sizeBytes)
    }
    buffer.fill(0, sizeBytes, paddedSizeBytes(sizeBytes, alignmentBytes))
  }

  #readStored(buffer: Buffer, offset: number, sizeBytes: number): void {
    if (this.#decryptor === null) {
      this.#readFully(buffer, offset, sizeBytes)
      buffer.fill(0, sizeBytes, paddedSizeBytes(sizeBytes, alignmentBytes))
      return
    }
    const paddedBytes = paddedSizeBytes(sizeBytes, this.#side.unitSizeBytes)
    this.#readFully(buffer, offset, paddedBytes)
    this.#decryptor.decrypt(buffer.subarray(0, paddedBytes), offset / dataUnitSizeBytes)
    if (!isZero(buffer.subarray(sizeBytes, paddedBytes))) {
      throw new DataPathError(
        'padding-not-zero',
        `${this.#side.path} holds data after the ${offset + sizeBytes} bytes of its image, up to ${offset + paddedBytes}: use that as its size`,
      )
    }
    buffer.fill(0, paddedBytes, paddedSizeBytes(sizeBytes, alignmentBytes))
  }

  #readFully(buffer: Buffer, offset: number, sizeBytes: number): void {
    const { path, offsetBytes } = this.#side
    for (let filled = 0; filled < sizeBytes; ) {
      const position = offsetBytes + offset + filled
      const missing = sizeBytes - filled
      const direct = (position | (buffer.byteOffset + filled)) % alignmentBytes === 0
      const file = direct ? (this.#files.direct ?? this.#files.buffered) : this.#files.buffered
      const asked = direct ? paddedSizeBytes(missing, alignmentBytes) : missing
      const count = attempt(`cannot read ${path} at ${position}`, () =>
        file.readSync(buffer.subarray(filled, filled + asked), position),
      )
      if (count === 0) throw new DataPathError('truncated', `${path} ends at ${position}, before its image does`)
      filled += count
    }
  }

  #writeFully(bytes: Uint8Array, offset: number): void {
    const { path, offsetBytes } = this.#side
    for (let written = 0; written < bytes.length; ) {
      const position = offsetBytes + offset + written
      const aligned = bytes.length - written - ((bytes.length - written) % alignmentBytes)
      const direct =
        this.#files.direct !== null && aligned > 0 && (position | (bytes.byteOffset + written)) % alignmentBytes === 0
      const file = direct ? (this.#files.direct ?? this.#files.buffered) : this.#files.buffered
      const part = bytes.subarray(written, direct ? written + aligned : bytes.length)
      written += attempt(`cannot write ${path} at ${position}`, () => file.writeSync(part, position))
    }
  }
}

function foreignDecryptor(key: Secret, { foreign, unitSizeBytes }: JobSide, parts: LaneParts): DataUnitDecryptor {
  return loaded(parts.createDecryptor)(key, { unitSizeBytes, ...loaded(foreign) })
}

function thinImageOf({ virtualSizeBytes, data }: ThinSide, parts: LaneParts): ThinImage {
  const { DataClusters, ThinImage } = loaded(parts.qcow2)
  return data === null ? ThinImage.empty(virtualSizeBytes) : ThinImage.with(DataClusters.of(data))
}

/** A part that was loaded for the job, since the job needs it. */
export function loaded<Part>(part: Part | undefined): Part {
  if (part === undefined) throw new DataPathError('worker-failed', 'a lane was started without what its job needs')
  return part
}

/** The areas of `bytes` that are not zero, as pairs of start and end; they are cut at multiples of the hole size. */
export function dataRuns(bytes: Buffer): [number, number][] {
  const runs: [number, number][] = []
  for (let start = 0; start < bytes.length; start += holeSizeBytes) {
    const end = Math.min(start + holeSizeBytes, bytes.length)
    if (isZero(bytes.subarray(start, end))) continue
    const last = runs.at(-1)
    if (last?.[1] === start) last[1] = end
    else runs.push([start, end])
  }
  return runs
}

/** Whether all bytes, at most as many as a hole has, are zero. */
export function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, zeros.subarray(0, bytes.length)) === 0
}

function attempt<Result>(what: string, action: () => Result): Result {
  try {
    return action()
  } catch (error) {
    throw dataPathErrorOf(error, what)
  }
}
