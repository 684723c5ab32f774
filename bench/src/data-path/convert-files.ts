import { readSync } from 'node:fs'
import { basename, dirname } from 'node:path'
import {
  type Image,
  type OpenImage,
  openDirect,
  openImageFile,
  Pace,
  placeIn,
  startJob,
} from '@cryptvisor/host-agent/data-path'
import type { LaneThreads } from '@cryptvisor/host-agent/lane-threads'
import { Secret } from '@cryptvisor/secret'
import { NodeStorage } from '@cryptvisor/storage'
import type { Conversion, ConversionSide } from './conversion.ts'

const unneeded = () => Promise.reject(new Error('nothing is locked or allocated here'))
const storage = new NodeStorage({ lock: unneeded, allocate: unneeded })

/** Moves the data, in this thread and others; what passes the page cache by is written out at the end. */
export async function convertFiles(conversion: Conversion, threads: LaneThreads): Promise<void> {
  const { lanes, chunkBytes, direct } = conversion
  await using stack = new AsyncDisposableStack()
  const source = await open(stack, conversion, conversion.source, 'read')
  const target = await open(stack, conversion, conversion.target, 'write')
  await startJob('copy', source, target, {
    signal: new AbortController().signal,
    lanes: { laneCount: lanes, chunkBytes, mainThreadToo: true },
    threads,
    pace: new Pace(),
    onProgress: () => {},
  })
  if (direct) await target.file.sync()
}

async function open(
  stack: AsyncDisposableStack,
  { sizeBytes, direct }: Conversion,
  { path, kind, offsetBytes }: ConversionSide,
  access: 'read' | 'write',
): Promise<OpenImage> {
  const folder = await storage.openFolder(dirname(path))
  if (folder === null) throw new Error(`${path} is not there`)
  stack.use(folder)
  const place = placeIn(folder, basename(path))
  const image: Image =
    kind === 'plain'
      ? { kind, place, sizeBytes }
      : { kind, place, sizeBytes, payloadOffsetBytes: offsetBytes, volumeKey: stack.use(keyFromInput()) }
  const file = stack.use(await openImageFile(place, access))
  const directFile = direct ? await openDirect(place, access) : null
  if (directFile !== null) stack.use(directFile)
  return { image, file, directFile }
}

function keyFromInput(): Secret {
  const bytes = new Uint8Array(64)
  if (readSync(0, bytes) !== bytes.length) throw new Error('expected 64 bytes of key')
  return Secret.from(bytes)
}
