import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { type Image, type Source, type SourceFile, transfer } from '../data-path/index.ts'
import { layerName } from '../disk/layer-file.ts'
import { comparedBytesOf, compareImage } from './copy-image.ts'
import type { Journal } from './journal.ts'
import type { Work } from './work.ts'

/** A disk on its way into a new layer. */
export interface Conversion {
  /** As it will be. */
  readonly disk: DiskAuthority
  /** What is done to it, such as «encrypting». */
  readonly verb: string
  readonly source: Source
  /** Held open until all is made, to see that nobody writes it. */
  readonly watched: SourceFile
  /** Makes the new layer, which must not be there: its header where it is encrypted, nothing where it is plain. */
  create(): Promise<Image>
  /** Opens the layer that an earlier try began. */
  reopen(): Promise<Image>
}

/** Keeps how far each layer is: a journal, or nothing, where what was begun is undone after a crash. */
export type PartLog = Pick<Journal, 'part' | 'note'>

/** For operations that only add, and that nobody goes on with. */
export const noLog: PartLog = {
  part: (layerId) => ({ layerId, source: { sizeBytes: 0, modifiedNs: '0' }, state: 'waiting', doneBytes: 0 }),
  note: async () => {},
}

/**
 * Fills and compares the new layers, several at once as far as the host's limit goes, each from where the journal says that
 * it stands. When one fails the others stop, and all have ended when this rejects with the first one's error.
 */
export async function convertAll(work: Work, journal: PartLog, conversions: readonly Conversion[]): Promise<void> {
  const failing = new AbortController()
  const signal = AbortSignal.any([work.signal, failing.signal])
  const errors: unknown[] = []
  const running = conversions.map(async (conversion) => {
    try {
      await convert({ ...work, signal }, journal, conversion)
    } catch (error) {
      errors.push(error)
      failing.abort(error)
    }
  })
  await Promise.all(running)
  if (errors.length > 0) throw errors[0]
}

/** Makes sure that nobody wrote what was read. Throws DataPathError `source-changed`. */
export async function checkSources(conversions: readonly Conversion[]): Promise<void> {
  for (const { watched } of conversions) await watched.checkUnchanged()
}

async function convert(work: Work, journal: PartLog, conversion: Conversion): Promise<void> {
  const { signal, bulk, progress } = work
  const { disk, verb } = conversion
  using _turn = await bulk.enter(signal, work.pace)
  const { state, doneBytes } = journal.part(disk.layerId)
  const copying = `${verb} disk ${disk.number}`
  const comparing = `verifying disk ${disk.number}`
  const { sizeBytes } = conversion.source
  if (state === 'verified') {
    progress.advance(copying, sizeBytes)
    if (work.verifies) progress.advance(comparing, comparedBytesOf(conversion.source))
    return
  }
  const whole = state === 'copied' || (state === 'copying' && doneBytes >= sizeBytes)
  const startBytes = whole ? sizeBytes : doneBytes - (doneBytes % work.lanes.chunkBytes)
  const target = await targetOf(work, conversion, state === 'waiting' ? 0 : startBytes)
  progress.begin(copying)
  progress.advance(copying, startBytes)
  progress.restartRate()
  if (!whole) await copy(work, journal, conversion, target, startBytes, copying)
  await journal.note(disk.layerId, 'copied', sizeBytes)
  await compareImage(work, conversion.source, target, comparing)
  await journal.note(disk.layerId, 'verified', sizeBytes)
}

/** The layer as an earlier try left it, or a new one in the place of one that it had only begun. */
async function targetOf({ folder }: Work, { disk, create, reopen }: Conversion, doneBytes: number): Promise<Image> {
  if (doneBytes > 0) return await reopen()
  if (await folder.remove(layerName(disk))) await folder.sync()
  return await create()
}

async function copy(
  work: Work,
  journal: PartLog,
  { disk, source }: Conversion,
  target: Image,
  startBytes: number,
  piece: string,
): Promise<void> {
  const { signal, pace, lanes, progress, checkpointBytes } = work
  await journal.note(disk.layerId, 'copying', startBytes)
  await transfer(source, target, {
    signal,
    pace,
    lanes,
    resumeAtBytes: startBytes,
    onProgress: (doneBytes) => progress.advance(piece, doneBytes),
    checkpoint: {
      everyBytes: checkpointBytes,
      save: (doneBytes) => journal.note(disk.layerId, 'copying', doneBytes),
    },
  })
}
