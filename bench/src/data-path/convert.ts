/**
 * One conversion as a process of its own, which `./run bench data-path` measures whole: start, data, end. It moves data between
 * two files that are there, at their full size; volume keys come by standard input, 64 bytes for each LUKS image, source first.
 */
import { LaneThreads } from '@cryptvisor/host-agent/lane-threads'
import type { Conversion } from './conversion.ts'

// `measure.ts` writes it.
const conversion = JSON.parse(process.argv[2] ?? '') as Conversion

// One lane is this thread. The others begin while this one loads what moves data.
using threads = new LaneThreads(conversion.lanes - 1)
const { convertFiles } = await import('./convert-files.ts')
await convertFiles(conversion, threads)
