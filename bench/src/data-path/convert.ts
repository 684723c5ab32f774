/**
 * One conversion as a process of its own, which `./run bench data-path` measures whole: start, data, end. It moves data between two
 * files that are there, at their full size; volume keys come by standard input, 64 bytes for each LUKS image, source first.
 *
 *     node convert.ts '{"source": {"path", "kind", "offsetBytes"}, "target": ..., "sizeBytes", "lanes", "direct"}'
 */
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
import { Secret } from '@cryptvisor/secret'
import { NodeStorage } from '@cryptvisor/storage'

/** One side, as the command line says it. */
export interface ConversionSide {
  readonly path: string
  readonly kind: 'plain' | 'luks'
  /** Where the image begins in the file. */
  readonly offsetBytes: number
}

/** What is to be done. */
export interface Conversion {
  readonly source: ConversionSide
  readonly target: ConversionSide
  readonly sizeBytes: number
  readonly lanes: number
  readonly chunkBytes: number
  /** Past the page cache, and at last written out. */
  readonly direct: boolean
}

// `measure.ts` writes it.
const conversion = JSON.parse(process.argv[2] ?? '') as Conversion

const unneeded = () => Promise.reject(new Error('nothing is locked or allocated here'))
const storage = new NodeStorage({ lock: unneeded, allocate: unneeded })

await using stack = new AsyncDisposableStack()
const source = await open(conversion.source, 'read')
const target = await open(conversion.target, 'write')
await startJob('copy', source, target, {
  signal: new AbortController().signal,
  lanes: { laneCount: conversion.lanes, chunkBytes: conversion.chunkBytes, mainThreadToo: true },
  pace: new Pace(),
  onProgress: () => {},
})
if (conversion.direct) await target.file.sync()

async function open({ path, kind, offsetBytes }: ConversionSide, access: 'read' | 'write'): Promise<OpenImage> {
  const folder = await storage.openFolder(dirname(path))
  if (folder === null) throw new Error(`${path} is not there`)
  stack.use(folder)
  const place = placeIn(folder, basename(path))
  const { sizeBytes } = conversion
  const image: Image =
    kind === 'plain'
      ? { kind, place, sizeBytes }
      : { kind, place, sizeBytes, payloadOffsetBytes: offsetBytes, volumeKey: stack.use(keyFromInput()) }
  const file = stack.use(await openImageFile(place, access))
  const directFile = conversion.direct ? await openDirect(place, access) : null
  if (directFile !== null) stack.use(directFile)
  return { image, file, directFile }
}

function keyFromInput(): Secret {
  const bytes = new Uint8Array(64)
  if (readSync(0, bytes) !== bytes.length) throw new Error('expected 64 bytes of key')
  return Secret.from(bytes)
}
