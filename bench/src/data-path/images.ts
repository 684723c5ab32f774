import { randomFillSync, randomUUID } from 'node:crypto'
import { closeSync, mkdtempSync, openSync, rmSync, statfsSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { createHeader, passphraseOf, payloadOffsetWrittenBytes } from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import type { ConversionSide } from './conversion.ts'

export const mib = 1_048_576

/** The sizes of images that are tried, the largest that fits is taken. */
const sizesMib = [1024, 512, 256]

/** How many files of the image's size a folder needs: these four, and one that is made on the way. */
const fileCount = 5

/** An image of a conversion, and the key of its volume where it is one. */
export interface BenchImage extends ConversionSide {
  readonly volumeKey: Secret | null
}

/** Two plain and two LUKS images of random bytes, at their full size before anything is measured. They go away at the end. */
export class BenchImages implements Disposable {
  readonly folder: string
  readonly sizeBytes: number
  /** Opens both LUKS images; a file, as QEMU and cryptsetup take it. It protects random bytes. */
  readonly passphraseFile: string
  readonly plain: BenchImage
  readonly plainTarget: BenchImage
  readonly luks: BenchImage
  readonly luksTarget: BenchImage

  private constructor(folder: string, sizeBytes: number, images: readonly [BenchImage, BenchImage]) {
    this.folder = folder
    this.sizeBytes = sizeBytes
    this.passphraseFile = join(folder, 'passphrase')
    this.plain = plainImage(join(folder, 'source.raw'))
    this.plainTarget = plainImage(join(folder, 'target.raw'))
    ;[this.luks, this.luksTarget] = images
  }

  /** Makes them in a new folder in `parent`, as large as there is room; `null` when there is not enough. */
  static async make(parent: string): Promise<BenchImages | null> {
    const sizeBytes = sizeThatFits(parent)
    if (sizeBytes === null) return null
    const folder = mkdtempSync(join(parent, 'cryptvisor-bench-'))
    process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
    using dek = Secret.random(32)
    using passphrase = passphraseOf(dek)
    const luks = await luksImage(join(folder, 'source.luks'), sizeBytes, passphrase)
    const luksTarget = await luksImage(join(folder, 'target.luks'), sizeBytes, passphrase)
    const made = new BenchImages(folder, sizeBytes, [luks, luksTarget])
    passphrase.expose((bytes) => writeFileSync(made.passphraseFile, bytes, { mode: 0o600 }))
    for (const { path } of [made.plain, made.plainTarget]) writeImage(path, new Uint8Array(), sizeBytes)
    return made
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true })
    this.luks.volumeKey?.[Symbol.dispose]()
    this.luksTarget.volumeKey?.[Symbol.dispose]()
  }
}

function sizeThatFits(parent: string): number | null {
  const { bavail, bsize } = statfsSync(parent)
  const found = sizesMib.find((size) => (size + 16) * fileCount * mib < bavail * bsize)
  return found === undefined ? null : found * mib
}

function plainImage(path: string): BenchImage {
  return { path, kind: 'plain', offsetBytes: 0, volumeKey: null }
}

async function luksImage(path: string, sizeBytes: number, passphrase: Secret): Promise<BenchImage> {
  const volumeKey = Secret.random(64)
  writeImage(path, await createHeader({ volumeKey, passphrase, uuid: randomUUID() }), sizeBytes)
  return { path, kind: 'luks', offsetBytes: payloadOffsetWrittenBytes, volumeKey }
}

/** Writes a header and random bytes after it: what is written for the first time in tmpfs, or on a disk, is slow. */
function writeImage(path: string, header: Uint8Array, sizeBytes: number): void {
  const file = openSync(path, 'wx', 0o600)
  if (header.length > 0) writeSync(file, header)
  const chunk = Buffer.alloc(mib)
  for (let done = 0; done < sizeBytes; done += mib) writeSync(file, randomFillSync(chunk))
  closeSync(file)
}
