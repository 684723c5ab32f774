import { createHmac } from 'node:crypto'
import { createXts, type DataUnitCipher, DataUnitMemory, dataUnitSizeBytes } from '@cryptvisor/crypto'
import type { Secret } from '@cryptvisor/secret'
import { directAlignmentBytes, type StorageFile } from '@cryptvisor/storage'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { readDevice, writeDevice } from './device-bytes.ts'
import { openImageFile } from './image-file.ts'
import type { Place } from './place.ts'
import { openDirect, openReadBack } from './read-back.ts'

/** What is moved at once: no more than the shift, so that a step never writes what it reads. */
const stepMaxBytes = 2_097_152

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
  /** Whether each step is read twice, and read back and compared before the next one overwrites its source. */
  readonly verifies: boolean
}

/** Where an earlier try stood: that much was moved, durably, and what comes next had this digest before it was touched. */
export interface InPlaceStand {
  readonly doneBytes: number
  readonly digest: string | null
}

/** Makes it durable that so many bytes are moved, and what the digest is of those that come next. */
export type NoteStand = (doneBytes: number, digest: string) => Promise<void>

/**
 * Moves a disk on its own device while it is encrypted or decrypted: encrypting from its end on, towards the device's end,
 * decrypting from its beginning on. A step writes only over the step before it, which is durable by then, and over nothing
 * that it reads; before its first write it is noted what it is to move. So whenever the power goes, the step that was
 * noted last still has its source, and is done again. A note that is not the last one does not fit what lies there any
 * more, and nothing is done on its word.
 */
export class InPlaceMove implements AsyncDisposable {
  readonly #disk: InPlaceDisk
  readonly #device: StorageFile
  readonly #readBack: StorageFile
  readonly #memory: DataUnitMemory
  readonly #moved: Buffer
  readonly #found: Buffer
  readonly #cipher: DataUnitCipher
  readonly #stack: AsyncDisposableStack
  readonly #stepBytes: number
  #doneBytes: number
  /** Of the next step's source, as it was noted. */
  #digest: string | null

  private constructor(
    disk: InPlaceDisk,
    stand: InPlaceStand,
    device: StorageFile,
    readBack: StorageFile,
    stack: AsyncDisposableStack,
  ) {
    this.#disk = disk
    this.#device = device
    this.#readBack = readBack
    this.#stack = stack
    this.#stepBytes = stepBytesOf(disk)
    this.#memory = stack.use(new DataUnitMemory({ sizeBytes: stepMaxBytes, count: 2 }))
    const [moved, found] = this.#memory.buffers
    if (moved === undefined || found === undefined)
      throw new DataPathError('worker-failed', 'no memory to move through')
    this.#moved = moved
    this.#found = found
    this.#cipher = stack.use(createXts(disk.volumeKey, { memory: this.#memory }))
    this.#doneBytes = stand.doneBytes
    this.#digest = stand.digest
  }

  /** Opens the device for this alone. Rejects with a DataPathError, `no-space` where disk and shift do not fit on it. */
  static async open(disk: InPlaceDisk, stand: InPlaceStand): Promise<InPlaceMove> {
    const { place, sizeBytes, shiftBytes } = disk
    await using stack = new AsyncDisposableStack()
    const aligned = (sizeBytes | shiftBytes) % directAlignmentBytes === 0
    const device = stack.use(
      (aligned ? await openDirect(place, 'write') : null) ?? (await openImageFile(place, 'write')),
    )
    const readBack = stack.use(
      shiftBytes % directAlignmentBytes === 0 ? await openReadBack(place) : await openImageFile(place, 'read'),
    )
    const stats = await attempt(`cannot look at ${place.path}`, () => device.stat())
    if (stats.sizeBytes < sizeBytes + shiftBytes) {
      throw new DataPathError(
        'no-space',
        `${place.path} has ${stats.sizeBytes} bytes, expected ${sizeBytes + shiftBytes}`,
      )
    }
    return new InPlaceMove(disk, stand, device, readBack, stack.move())
  }

  get doneBytes(): number {
    return this.#doneBytes
  }

  get done(): boolean {
    return this.#doneBytes >= this.#disk.sizeBytes
  }

  /** How much the next step moves. */
  get nextBytes(): number {
    return this.#next().sizeBytes
  }

  /**
   * Reads all of the disk, so that what cannot be read is found while nothing has been moved. `proceed` is told how much was
   * read, and may stop it by rejecting.
   */
  async readThrough(proceed: (readBytes: number) => Promise<void>): Promise<void> {
    const { place, direction, sizeBytes, shiftBytes } = this.#disk
    for (let at = 0; at < sizeBytes; at += stepMaxBytes) {
      await proceed(at)
      const source = direction === 'encrypt' ? at : at + shiftBytes
      await attempt(`cannot read ${place.path} at ${source}`, () =>
        readDevice(this.#readBack, this.#found, source, Math.min(stepMaxBytes, sizeBytes - at)),
      )
    }
    await proceed(sizeBytes)
  }

  /**
   * The digest of what the next step moves, to be noted; empty when all is done. Rejects with a DataPathError `source-changed`
   * when that was noted and it is another: the note is an old one, or somebody wrote on the device.
   */
  async look(): Promise<string> {
    return this.done ? '' : await this.#load(null)
  }

  /** Moves the next piece, durably, and compares it; `note` is for what was not looked at before. When it rejects it may be done again. */
  async step(note: NoteStand): Promise<void> {
    const { from, sizeBytes } = this.#next()
    const { place, direction, shiftBytes, verifies } = this.#disk
    const digest = await this.#load(note)
    const bytes = this.#moved.subarray(0, sizeBytes)
    this.#cross(direction, bytes, from)
    const target = direction === 'encrypt' ? from + shiftBytes : from
    await attempt(`cannot write ${place.path} at ${target}`, async () => {
      await writeDevice(this.#device, bytes, target)
      await this.#device.sync()
    })
    if (verifies) await this.#compare(from, sizeBytes, target, digest)
    this.#doneBytes += sizeBytes
    this.#digest = null
  }

  /** Writes what goes before the encrypted bytes, durably, and reads it back. When it rejects it may be done again. */
  async writeHeader(header: Uint8Array): Promise<void> {
    const { path } = this.#disk.place
    for (let at = 0; at < header.length; at += stepMaxBytes) {
      const piece = header.subarray(at, at + stepMaxBytes)
      const [written, found] = [this.#moved.subarray(0, piece.length), this.#found.subarray(0, piece.length)]
      written.set(piece)
      await attempt(`cannot write ${path} at ${at}`, async () => {
        await writeDevice(this.#device, written, at)
        await this.#device.sync()
        await readDevice(this.#readBack, this.#found, at, piece.length)
      })
      if (found.equals(piece)) continue
      throw new DataPathError('mismatch', `${path}: its LUKS header does not read back as written`)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync()
  }

  /** Reads the next step's source, and notes its digest or compares it with what was noted. */
  async #load(note: NoteStand | null): Promise<string> {
    const { from, sizeBytes } = this.#next()
    const { place, direction, shiftBytes } = this.#disk
    const source = direction === 'encrypt' ? from : from + shiftBytes
    await attempt(`cannot read ${place.path} at ${source}`, () =>
      readDevice(this.#device, this.#moved, source, sizeBytes),
    )
    const digest = this.#digestOf(this.#moved.subarray(0, sizeBytes), from)
    if (this.#digest === null) {
      await this.#readAgain(source, sizeBytes)
      await note?.(this.#doneBytes, digest)
      this.#digest = digest
    }
    if (this.#digest === digest) return digest
    throw new DataPathError(
      'source-changed',
      `${place.path}: the ${sizeBytes} bytes at ${source} are not those that the journal says are moved next; is it an old one?`,
    )
  }

  /** What is read wrong once is not to take the place of what lies there: it is read a second time, and compared. */
  async #readAgain(source: number, sizeBytes: number): Promise<void> {
    const { place, verifies } = this.#disk
    if (!verifies) return
    await attempt(`cannot read ${place.path} at ${source}`, () =>
      readDevice(this.#readBack, this.#found, source, sizeBytes),
    )
    if (this.#found.subarray(0, sizeBytes).equals(this.#moved.subarray(0, sizeBytes))) return
    throw new DataPathError('mismatch', `${place.path}: the ${sizeBytes} bytes at ${source} read differently each time`)
  }

  /** Reads back what was written, crosses it back, and compares it with its source. */
  async #compare(from: number, sizeBytes: number, target: number, digest: string): Promise<void> {
    const { place, direction } = this.#disk
    await attempt(`cannot read ${place.path} back at ${target}`, () =>
      readDevice(this.#readBack, this.#found, target, sizeBytes),
    )
    const found = this.#found.subarray(0, sizeBytes)
    this.#cross(direction === 'encrypt' ? 'decrypt' : 'encrypt', found, from)
    if (this.#digestOf(found, from) === digest) return
    throw new DataPathError('mismatch', `${place.path}: what was written at ${target} does not read back as it was`)
  }

  #cross(direction: InPlaceDisk['direction'], bytes: Buffer, from: number): void {
    const sector = from / dataUnitSizeBytes
    if (direction === 'encrypt') this.#cipher.encrypt(bytes, sector)
    else this.#cipher.decrypt(bytes, sector)
  }

  /** The part of the disk that is moved next. */
  #next(): { readonly from: number; readonly sizeBytes: number } {
    const { direction, sizeBytes } = this.#disk
    if (direction === 'decrypt') {
      return { from: this.#doneBytes, sizeBytes: Math.min(this.#stepBytes, sizeBytes - this.#doneBytes) }
    }
    const end = sizeBytes - this.#doneBytes
    const from = Math.max(0, Math.ceil(end / this.#stepBytes) - 1) * this.#stepBytes
    return { from, sizeBytes: end - from }
  }

  #digestOf(bytes: Uint8Array, from: number): string {
    return this.#disk.digestKey.expose((key) =>
      createHmac('sha256', key).update(`${this.#disk.direction} ${from} ${bytes.length}\n`).update(bytes).digest('hex'),
    )
  }
}

/** The largest step that is no larger than the shift and begins at whole blocks. */
function stepBytesOf({ place, shiftBytes }: InPlaceDisk): number {
  const stepBytes = Math.min(stepMaxBytes, shiftBytes - (shiftBytes % directAlignmentBytes))
  if (stepBytes > 0) return stepBytes
  throw new DataPathError('size-mismatch', `${place.path}: a shift of ${shiftBytes} bytes leaves no room for a step`)
}
