import { createXts, type DataUnitCipher, DataUnitMemory, dataUnitSizeBytes } from '@cryptvisor/crypto'
import { directAlignmentBytes, type StorageFile } from '@cryptvisor/storage'
import { attempt } from './attempt.ts'
import { DataPathError } from './data-path-error.ts'
import { readDevice, writeDevice } from './device-bytes.ts'
import { openImageFile } from './image-file.ts'
import { digestOf, type InPlaceDisk, type Step, stepAt, stepMaxBytes } from './in-place-step.ts'
import { openDirect, openReadBack } from './read-back.ts'

/** Where an earlier try stood at least: that much was moved, durably, and what the next steps move had these digests before. */
export interface InPlaceStand {
  readonly doneBytes: number
  readonly digests: readonly string[]
}

/** Makes it durable that so many bytes are moved, and what the digests are of what the next steps move. */
export type NoteStand = (doneBytes: number, digests: readonly string[]) => Promise<void>

/**
 * Moves a disk on its own device while it is encrypted or decrypted: encrypting from its end on, towards the device's end,
 * decrypting from its beginning on. A step writes only over the source of the step before it, which is durable where it
 * belongs by then, and over nothing that it reads; before the first write of some steps it is noted what they are to move. So
 * whenever the power goes, the first of them whose source is still as it was noted is the one to go on with: all before it
 * are done. Where there is none, the note is an old one, and nothing is done on its word.
 */
export class InPlaceMove implements AsyncDisposable {
  readonly #disk: InPlaceDisk
  readonly #device: StorageFile
  readonly #readBack: StorageFile
  readonly #moved: Buffer
  readonly #found: Buffer
  readonly #cipher: DataUnitCipher
  readonly #stack: AsyncDisposableStack
  #doneBytes: number
  /** Of the next steps' sources, as they were noted. */
  #digests: readonly string[]

  private constructor(
    disk: InPlaceDisk,
    stand: InPlaceStand,
    device: StorageFile,
    readBack: StorageFile,
    [moved, found]: readonly [Buffer, Buffer],
    cipher: DataUnitCipher,
    stack: AsyncDisposableStack,
  ) {
    this.#disk = disk
    this.#device = device
    this.#readBack = readBack
    this.#stack = stack
    this.#moved = moved
    this.#found = found
    this.#cipher = cipher
    this.#doneBytes = stand.doneBytes
    this.#digests = stand.digests
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
    const memory = stack.use(new DataUnitMemory({ sizeBytes: stepMaxBytes, count: 2 }))
    const [moved, found] = memory.buffers
    if (moved === undefined || found === undefined)
      throw new DataPathError('worker-failed', 'no memory to move through')
    const cipher = stack.use(createXts(disk.volumeKey, { memory }))
    return new InPlaceMove(disk, stand, device, readBack, [moved, found], cipher, stack.move())
  }

  get doneBytes(): number {
    return this.#doneBytes
  }

  get done(): boolean {
    return this.#doneBytes >= this.#disk.sizeBytes
  }

  /** How much the next step moves. */
  get nextBytes(): number {
    return stepAt(this.#disk, this.#doneBytes).sizeBytes
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
   * The digests of what the next steps move, to be noted; none when all is done. Where some were noted, finds the step to go on
   * with. Rejects with a DataPathError `source-changed` when there is none: the note is an old one, or somebody wrote on the
   * device.
   */
  async look(): Promise<string[]> {
    if (this.done) return []
    if (this.#digests.length === 0) this.#digests = await this.#lookAhead()
    else await this.#locate()
    return [...this.#digests]
  }

  /** Moves the next piece, durably, and compares it; `note` is for what was not looked at before. When it rejects it may be done again. */
  async step(note: NoteStand): Promise<void> {
    const step = stepAt(this.#disk, this.#doneBytes)
    if (this.#digests.length === 0) {
      const digests = await this.#lookAhead()
      await note(this.#doneBytes, digests)
      this.#digests = digests
    }
    const digest = await this.#read(step)
    if (digest !== this.#digests[0]) {
      // All before it is durable, so that the steps from here on can be noted anew.
      this.#digests = []
      const { path } = this.#disk.place
      throw new DataPathError('mismatch', `${path}: what lies at ${step.source} reads differently each time`)
    }
    await this.#move(step)
    if (this.#disk.verifies) await this.#compare(step, digest)
    this.#doneBytes += step.sizeBytes
    this.#digests = this.#digests.slice(1)
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

  async #lookAhead(): Promise<string[]> {
    const { stepsPerNote, sizeBytes } = this.#disk
    const digests: string[] = []
    for (let at = this.#doneBytes; at < sizeBytes && digests.length < stepsPerNote; ) {
      const step = stepAt(this.#disk, at)
      digests.push(await this.#read(step))
      at += step.sizeBytes
    }
    return digests
  }

  /** Goes on to the first of the noted steps whose source is still there, past those that lie where they belong. */
  async #locate(): Promise<void> {
    for (const [index, digest] of this.#digests.entries()) {
      if (this.done) break
      const step = stepAt(this.#disk, this.#doneBytes)
      if ((await this.#read(step)) === digest) {
        this.#digests = this.#digests.slice(index)
        return
      }
      if (!(await this.#lies(step, digest))) break
      this.#doneBytes += step.sizeBytes
    }
    throw new DataPathError(
      'source-changed',
      `${this.#disk.place.path}: what lies there is not what the journal says; is it an old one?`,
    )
  }

  /** Reads a step's source into memory; gives its digest. */
  async #read(step: Step): Promise<string> {
    const { source, sizeBytes } = step
    await attempt(`cannot read ${this.#disk.place.path} at ${source}`, () =>
      readDevice(this.#device, this.#moved, source, sizeBytes),
    )
    return digestOf(this.#disk, step, this.#moved.subarray(0, sizeBytes))
  }

  /** Writes the step that is in memory where it belongs, durably. */
  async #move({ from, sizeBytes, target }: Step): Promise<void> {
    const { place, direction } = this.#disk
    const bytes = this.#moved.subarray(0, sizeBytes)
    this.#cross(direction, bytes, from)
    await attempt(`cannot write ${place.path} at ${target}`, async () => {
      await writeDevice(this.#device, bytes, target)
      await this.#device.sync()
    })
  }

  async #compare(step: Step, digest: string): Promise<void> {
    if (await this.#lies(step, digest)) return
    const { path } = this.#disk.place
    throw new DataPathError('mismatch', `${path}: what was written at ${step.target} does not read back as it was`)
  }

  /** Whether a step lies where it belongs: read back and crossed back it is what its source was. */
  async #lies(step: Step, digest: string): Promise<boolean> {
    const { place, direction } = this.#disk
    const { from, sizeBytes, target } = step
    await attempt(`cannot read ${place.path} back at ${target}`, () =>
      readDevice(this.#readBack, this.#found, target, sizeBytes),
    )
    const found = this.#found.subarray(0, sizeBytes)
    this.#cross(direction === 'encrypt' ? 'decrypt' : 'encrypt', found, from)
    return digestOf(this.#disk, step, found) === digest
  }

  #cross(direction: InPlaceDisk['direction'], bytes: Buffer, from: number): void {
    const sector = from / dataUnitSizeBytes
    if (direction === 'encrypt') this.#cipher.encrypt(bytes, sector)
    else this.#cipher.decrypt(bytes, sector)
  }
}
