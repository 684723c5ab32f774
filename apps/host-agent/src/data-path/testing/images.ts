import { randomBytes, randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createHeader, passphraseOf, type RecordCopyName, writeRecordCopy } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { NodeStorage, type StorageFolder } from '@cryptvisor/storage'
import { temporaryFolder } from '@cryptvisor/testkit'
import { descriptorTools } from '../../storage/descriptor-tools.ts'
import type { LuksImage, PlainImage } from '../image.ts'
import { createLuksFile, readLuksHeader } from '../luks-file.ts'
import { Pace } from '../pace.ts'
import { type Place, placeIn } from '../place.ts'
import type { TransferOptions } from '../transfer.ts'

/** Where the payload begins in all LUKS images here. */
export const payloadOffsetBytes = 2_097_152

/** A LUKS image, and the passphrase that opens it. */
export type TestLuksImage = LuksImage & { readonly passphrase: Secret }

/** A real folder for the images of one test, which goes away with all in it when the test is over. */
export class ImageFolder {
  readonly path: string
  readonly #folder: StorageFolder

  private constructor(path: string, folder: StorageFolder) {
    this.path = path
    this.#folder = folder
  }

  static async open(context: { after(run: () => unknown): void }): Promise<ImageFolder> {
    const path = temporaryFolder(context)
    const folder = await new NodeStorage(descriptorTools).openFolder(path)
    if (folder === null) throw new Error(`${path} is not there`)
    context.after(() => folder[Symbol.asyncDispose]())
    return new ImageFolder(path, folder)
  }

  at(name: string): string {
    return join(this.path, name)
  }

  place(name: string): Place {
    return placeIn(this.#folder, name)
  }

  bytes(name: string): Buffer {
    return readFileSync(this.at(name))
  }

  /** A plain image that is not there yet. */
  plain(name: string, sizeBytes: number): PlainImage {
    return { kind: 'plain', place: this.place(name), sizeBytes }
  }

  /** A file of random bytes, or of these. */
  plainImage(name: string, sizeBytes: number, bytes: Uint8Array = randomBytes(sizeBytes)): PlainImage {
    writeFileSync(this.at(name), bytes)
    return this.plain(name, sizeBytes)
  }

  /** A LUKS file without a payload yet. */
  async luksImage(name: string, sizeBytes: number): Promise<TestLuksImage> {
    return await newLuksImage(this.place(name), sizeBytes)
  }
}

/** A LUKS file without a payload yet. */
export async function newLuksImage(place: Place, sizeBytes: number): Promise<TestLuksImage> {
  const volumeKey = Secret.random(64)
  using dek = Secret.random(32)
  const passphrase = passphraseOf(dek)
  const header = await createHeader({ volumeKey, passphrase, uuid: randomUUID(), payloadOffsetBytes })
  await createLuksFile(place, header, sizeBytes)
  return { kind: 'luks', place, payloadOffsetBytes, sizeBytes, volumeKey, passphrase }
}

/** Replaces copies of the key record of a LUKS file. */
export async function replaceRecord(place: Place, names: readonly RecordCopyName[], record: string): Promise<void> {
  const { bytes, header } = await readLuksHeader(place)
  for (const name of names) writeRecordCopy(bytes, header, name, record)
  writeFileSync(place.path, bytes, { flag: 'r+' })
}

/** Options that let a transfer run to its end. */
export function unhurried(): TransferOptions {
  return {
    signal: new AbortController().signal,
    lanes: { laneCount: 1, chunkBytes: 1_048_576 },
    pace: new Pace(),
    onProgress: () => {},
  }
}
