import { randomBytes } from 'node:crypto'
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs'
import { succeed } from './lab-under-test.ts'

/** A text to look for in files; another one each time. */
export const knownText = () => `known text ${randomBytes(16).toString('hex')}`

/** Makes a raw image of `sizeBytes` with `text` every 64 KiB, random bytes between, and a hole in its middle. */
export function makeRawImage(path: string, sizeBytes: number, text: string): void {
  const file = openSync(path, 'wx', 0o600)
  try {
    ftruncateSync(file, sizeBytes)
    const [holeStart, holeEnd] = [Math.floor(sizeBytes / 3), Math.floor(sizeBytes / 2)]
    for (let offset = 0; offset < sizeBytes; offset += 65_536) {
      if (offset >= holeStart && offset < holeEnd) continue
      const block = Buffer.concat([Buffer.from(`${text}\n`), randomBytes(65_536)])
      writeSync(file, block, 0, Math.min(65_536, sizeBytes - offset), offset)
    }
  } finally {
    closeSync(file)
  }
}

/** Turns a raw image into a qcow2 one. */
export async function makeQcow2Image(rawPath: string, path: string): Promise<void> {
  await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', rawPath, path])
}
