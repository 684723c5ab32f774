import { Readable } from 'node:stream'
import type { DiskAuthority, ExportDisk } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import { type ImageReading, openReading, openSource, Pace, type Source, scan } from '../data-path/index.ts'
import type { Folder } from '../datastore/folder.ts'
import { openDisk } from '../disk/open-disk.ts'
import { plainImageOf } from '../disk/plain-image.ts'
import type { OperationHost } from './host.ts'
import { KeyLoans } from './key-loans.ts'
import { agentErrorOf } from './operation-error.ts'
import { refused } from './plan.ts'
import { refuseUnfinished } from './refuse-unfinished.ts'
import { agreedDocument, requireVmSite } from './vm-site.ts'

/** What is read and given on at once: some of these are in memory, whatever the disk's size. */
const chunkBytes = 1_048_576

/** A disk's image on its way out. */
export interface DiskExport {
  /** Exact. */
  readonly sizeBytes: number
  /**
   * Fails when the rest cannot be read. The VM is locked and its keys are lent until the last of it was read, or it is
   * closed, which its reader must see to.
   */
  readonly stream: Readable
}

/**
 * Opens a disk's image as a plain stream in the format that is asked for; nothing of it is written anywhere. A raw disk that
 * is to be a qcow2 is read twice, since its map comes first. Rejects with AgentError, before anything was given on: `too-many`
 * among others; the signal ends it at any time.
 */
export async function exportDisk(host: OperationHost, request: ExportDisk, signal: AbortSignal): Promise<DiskExport> {
  const { vm, diskId, format } = request
  try {
    const disk = vm.disks.find((other) => other.diskId === diskId)
    if (disk === undefined) throw refused(`diskId: the VM has no disk ${diskId}`)
    await using stack = new AsyncDisposableStack()
    const turn = host.exports.enterNow()
    if (turn === null) {
      throw new AgentError('too-many', 'this host reads out as many disks as it can; try again when one has ended')
    }
    stack.use(turn)
    const { encryption, number } = disk
    const needs = encryption === null ? [] : [{ part: `disk ${number}`, anyOf: encryption.keys }]
    const keys = stack.use(new KeyLoans(host.keys, needs, host.cryptoSupported))
    const { folder } = stack.use(await requireVmSite(host.datastores, vm))
    await agreedDocument(folder, vm)
    await refuseUnfinished(folder)
    const source = await sourceOf(host, folder, disk, keys, format, signal, stack)
    const file = stack.use(await openSource(source))
    const guest = disk.format === 'qcow2' && format === 'raw'
    const reading = stack.use(await openReading(file, { chunkBytes, guest }))
    // What fails at once is an answer, and no stream that breaks.
    const first = await reading.read(0, Math.min(chunkBytes, reading.sizeBytes))
    signal.throwIfAborted()
    const held = stack.move()
    const finish = async () => {
      await file.checkUnchanged()
      await held.disposeAsync()
    }
    const stream = Readable.from(chunksOf(reading, first, finish), { objectMode: false })
    stream.once('close', () => {
      held.disposeAsync().catch((error: unknown) => host.warn(`disk ${number}: ${agentErrorOf(error).message}`))
    })
    signal.addEventListener('abort', () => stream.destroy(), { once: true })
    stream.once('error', (error) => host.warn(`disk ${number}: its export broke off: ${agentErrorOf(error).message}`))
    return { sizeBytes: reading.sizeBytes, stream }
  } catch (error) {
    throw agentErrorOf(error)
  }
}

/** The bytes that go out, or the qcow2 whose disk does. */
async function sourceOf(
  host: OperationHost,
  folder: Folder,
  disk: DiskAuthority,
  keys: KeyLoans,
  format: ExportDisk['format'],
  signal: AbortSignal,
  stack: AsyncDisposableStack,
): Promise<Source> {
  const image =
    disk.encryption === null
      ? await plainImageOf(folder, disk)
      : stack.use(await openDisk(folder, disk, keys.of(disk.encryption.keys))).image
  if (disk.format === 'qcow2' || format === 'raw') return image
  using _turn = await host.bulk.enter(signal)
  return await scan(image, { signal, lanes: host.lanes, pace: new Pace(), onProgress: () => {} })
}

/** One chunk after the other, the next one being read meanwhile; the last one only after `finish`. */
async function* chunksOf(
  reading: ImageReading,
  first: Uint8Array,
  finish: () => Promise<void>,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { sizeBytes } = reading
  for (let at = 0, chunk = first; ; ) {
    at += chunk.length
    if (at >= sizeBytes) {
      await finish()
      yield chunk
      return
    }
    const next = reading.read(at, Math.min(chunkBytes, sizeBytes - at))
    // Who gives the rest up does not wait for it.
    next.catch(() => {})
    yield chunk
    chunk = await next
  }
}
