import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import {
  type Authority,
  type CopyName,
  chooseCopy,
  type DiskRecordHeader,
  inspectRecord,
  KeyRecordError,
  type NamedKek,
  recordSizeMax,
  type UnwrappedDek,
} from '@cryptvisor/key-record'
import { LuksError } from '@cryptvisor/luks'
import { AgentError } from '../agent-error.ts'
import { DataPathError } from '../data-path/index.ts'
import { type LayerRecord, readLayerRecord, writeLayerRecord } from '../data-path/record-file.ts'
import type { Folder } from '../datastore/folder.ts'
import { keyName } from './layer-file.ts'
import { layerPlace } from './layer-place.ts'
import { recordAuthorityOf } from './open-disk.ts'

/** The key record of an encrypted disk, opened. Disposing of it wipes the DEK. */
export interface DiskRecord extends UnwrappedDek, Disposable {
  readonly header: DiskRecordHeader
  readonly record: string
  /** The copy that counts. */
  readonly name: CopyName
  /** Whether the other copy is the same; always so for a record that is a file. */
  readonly inStep: boolean
}

/**
 * Opens the key record of a disk, as far as it is what the control plane knows, and touches no key slot: that takes less
 * than opening the disk. Throws KeyRecordError, LuksError, DataPathError, or AgentError `datastore-mismatch` when the
 * record was made for another volume.
 */
export async function openDiskRecord(
  folder: Folder,
  disk: DiskAuthority,
  keks: readonly NamedKek[],
): Promise<DiskRecord> {
  const { copies, header: luks } = await readRecord(folder, disk)
  const { dek, header, record, name, inStep } = await chooseCopy(copies, keks, recordAuthorityOf(disk))
  if (
    header.kind !== 'disk' ||
    header.luksUuid !== luks.uuid ||
    header.payloadOffsetBytes !== luks.payloadOffsetBytes
  ) {
    dek[Symbol.dispose]()
    throw new AgentError('datastore-mismatch', `disk ${disk.number}: its key record was made for another LUKS volume`)
  }
  return { dek, header, record, name, inStep, [Symbol.dispose]: () => dek[Symbol.dispose]() }
}

/**
 * Puts a record that names the KEK that is to come into copy A, durably, while copy B holds the one that counts: `opened`.
 * A record that is a file stays as it is. Throws DataPathError, AgentError.
 */
export async function writeFirstCopy(
  folder: Folder,
  disk: DiskAuthority,
  opened: DiskRecord,
  record: string,
): Promise<void> {
  const { header, kept } = await readRecord(folder, disk)
  if (kept === 'file') return
  const place = await layerPlace(folder, disk)
  if (opened.name === 'A' && !opened.inStep) await writeLayerRecord(place, header, 'B', opened.record)
  await writeLayerRecord(place, header, 'A', record)
}

/**
 * Makes `record` the only one of a disk, durably: copy B first, then A. Does no harm when done again; then it writes what is
 * there already, since an earlier try may have failed at its sync, and what looks written would be gone after a power cut.
 */
export async function writeBothCopies(folder: Folder, disk: DiskAuthority, record: string): Promise<void> {
  const { header, kept } = await readRecord(folder, disk)
  if (kept === 'file') {
    await writeKeyFile(folder, disk, record)
    return
  }
  const place = await layerPlace(folder, disk)
  for (const name of ['B', 'A'] as const) await writeLayerRecord(place, header, name, record)
}

/** Puts a record into the file beside its disk, durably, and makes sure that it reads back. */
export async function writeKeyFile(
  folder: Folder,
  { layerId }: Pick<DiskAuthority, 'layerId'>,
  record: string,
): Promise<void> {
  const name = keyName(layerId)
  await folder.write(name, Buffer.from(record))
  const found = await folder.readBack(name, recordSizeMax)
  if (found?.toString('utf8') !== record) {
    throw new AgentError('verification-failed', `${folder.path}/${name}: does not read back as it was written`)
  }
}

/**
 * Takes back what `writeFirstCopy` wrote, without any key: puts copy B into copy A, where A names one of `newKids` or is
 * damaged, and B is what the control plane knows, as far as can be seen. Does nothing where the disk is not to be read.
 */
export async function restoreFirstCopy(folder: Folder, disk: DiskAuthority, newKids: readonly string[]): Promise<void> {
  const found = await readable(folder, disk)
  if (found === null || found.kept === 'file') return
  const [first, second] = [textOf(found.copies.A), textOf(found.copies.B)]
  if (second === null || !isPlausible(second, recordAuthorityOf(disk))) return
  const kids = first === null ? null : kidsOf(first)
  // Where both are the same an earlier try may have written A and failed at its sync.
  if (first !== second && kids !== null && !kids.some((kid) => newKids.includes(kid))) return
  await writeLayerRecord(await layerPlace(folder, disk), found.header, 'A', second)
}

async function readRecord(folder: Folder, disk: DiskAuthority): Promise<LayerRecord> {
  return await readLayerRecord(await layerPlace(folder, disk), folder.place(keyName(disk.layerId)))
}

/** `null` for what is no disk of ours any more; there is nothing to take back. */
async function readable(folder: Folder, disk: DiskAuthority): Promise<LayerRecord | null> {
  try {
    return await readRecord(folder, disk)
  } catch (error) {
    if (error instanceof LuksError) return null
    if ((error instanceof DataPathError || error instanceof AgentError) && error.code !== 'io') return null
    throw error
  }
}

/** Whether a record looks like the one of a disk that the control plane knows; nothing is authenticated. */
export function isPlausible(record: string, { kids, generationMin, ...subject }: Authority): boolean {
  if (kidsOf(record)?.every((kid) => kids.includes(kid)) !== true) return false
  const { header } = inspectRecord(record)
  return (
    header.kind === 'disk' &&
    subject.kind === 'disk' &&
    header.layerId === subject.layerId &&
    header.luksUuid === subject.luksUuid &&
    header.generation >= generationMin
  )
}

/** The KEKs that a record names; `null` when it is none. */
function kidsOf(record: string): readonly string[] | null {
  try {
    return inspectRecord(record).kids
  } catch (error) {
    if (error instanceof KeyRecordError) return null
    throw error
  }
}

function textOf(copy: LayerRecord['copies'][CopyName]): string | null {
  return copy.state === 'text' ? copy.text : null
}
