import { truncateSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import { type Image, Pace, placeIn, transfer, verify } from '@cryptvisor/host-agent/data-path'
import { payloadOffsetWrittenBytes } from '@cryptvisor/luks'
import { NodeStorage } from '@cryptvisor/storage'
import { median } from '../figures.ts'
import type { BenchImages } from './images.ts'

/**
 * How long encrypting takes with verification, of how long it takes without: into a file that has its header alone, written
 * out, read back past the page cache. The last LUKS image is what is written; it is whole again afterwards.
 */
export async function verificationCost(images: BenchImages, roundCount: number): Promise<number> {
  const { plain, luksTarget, sizeBytes } = images
  const storage = new NodeStorage({
    lock: () => Promise.reject(new Error('nothing is locked here')),
    allocate: () => Promise.resolve(false),
  })
  await using folder = await storage.openFolder(dirname(plain.path))
  if (folder === null || luksTarget.volumeKey === null) throw new Error(`${plain.path} is not there`)
  const source: Image = { kind: 'plain', place: placeIn(folder, basename(plain.path)), sizeBytes }
  const target: Image = {
    ...({ kind: 'luks', place: placeIn(folder, basename(luksTarget.path)), sizeBytes } as const),
    ...{ payloadOffsetBytes: payloadOffsetWrittenBytes, volumeKey: luksTarget.volumeKey },
  }
  const options = {
    signal: new AbortController().signal,
    lanes: { laneCount: 2, chunkBytes: 1_048_576 },
    pace: new Pace(),
    onProgress: () => {},
  }
  const costs: number[] = []
  for (let round = 0; round < roundCount; round++) {
    truncateSync(luksTarget.path, payloadOffsetWrittenBytes)
    const start = performance.now()
    await transfer(source, target, options)
    const copied = performance.now()
    await verify(source, target, options)
    costs.push((performance.now() - start) / (copied - start))
  }
  return median(costs)
}
