import type { DiskAuthority } from '@cryptvisor/host-agent-api'
import { type NamedKek, recordKeySizeBytes, wrapDek } from '@cryptvisor/key-record'
import {
  addKeySlot,
  type HeaderChange,
  parseHeader,
  passphraseOf,
  recordPlaceOf,
  removeKeySlots,
  renewDigest,
} from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { AgentError } from '../agent-error.ts'
import { writeFully } from '../data-path/file-bytes.ts'
import { openImageFile } from '../data-path/image-file.ts'
import { attempt, type Place } from '../data-path/index.ts'
import { readLuksHeader } from '../data-path/luks-file.ts'
import { writeLayerRecord } from '../data-path/record-file.ts'
import type { Folder } from '../datastore/folder.ts'
import { writeKeyFile } from '../disk/disk-record.ts'
import { luksName } from '../disk/layer-file.ts'
import { newRecordHeader } from '../disk/open-disk.ts'
import { type ForeignFile, openForeignFile } from './foreign-file.ts'
import { refused, type Sizes } from './plan.ts'
import type { Work } from './work.ts'

/**
 * Makes a disk of ours out of the LUKS1 volume that was received into its layer's file: adds a key slot for a random DEK,
 * the DEK's record, and removes the other slots. The file is nobody else's until the commit, so that a crash leaves
 * nothing but something to undo. Throws LuksError, DataPathError, or AgentError `refused`, `bad-image`.
 */
export async function adoptVolume(work: Work, disk: DiskAuthority, passphrase: Secret): Promise<Sizes> {
  const { folder, progress, plan, keys } = work
  const place = folder.place(luksName(disk.layerId))
  progress.begin(`opening the volume of disk ${disk.number}`)
  using foreign = await openForeignFile(place, passphrase, disk.format, work)
  for (const warning of foreign.warnings) work.warn(`disk ${disk.number}: ${warning}`)
  const { adoptionRefusal, uuid } = foreign.volume
  if (adoptionRefusal !== null) throw refused(`the volume cannot be adopted, but imported: ${adoptionRefusal}`)
  const other = plan.vm.disks.find(({ encryption }) => encryption?.luksUuid === uuid)
  if (other !== undefined)
    throw refused(`disk ${other.number} has LUKS UUID ${uuid} already: import the volume instead`)
  const sizes = { payloadBytes: foreign.image.sizeBytes, virtualBytes: foreign.virtualBytes, luksUuid: uuid }
  progress.begin(`adopting disk ${disk.number}`)
  await takeOver(folder, place, adoptedDisk(disk, sizes), foreign, keys.of(disk.encryption?.keys ?? []))
  return sizes
}

function adoptedDisk(disk: DiskAuthority, sizes: Sizes & { readonly luksUuid: string }): DiskAuthority {
  const { luksUuid, payloadBytes, virtualBytes } = sizes
  if (disk.encryption === null) throw new AgentError('internal', 'a plain disk is not adopted')
  return { ...disk, payloadBytes, virtualBytes, encryption: { ...disk.encryption, luksUuid } }
}

async function takeOver(
  folder: Folder,
  place: Place,
  disk: DiskAuthority,
  { volume, image }: ForeignFile,
  keks: readonly NamedKek[],
): Promise<void> {
  const { volumeKey } = volume
  using dek = Secret.random(recordKeySizeBytes)
  using own = passphraseOf(dek)
  const { bytes, header } = await readLuksHeader(place)
  const oldSlots = header.keySlots.filter(({ active }) => active).map(({ index }) => index)
  const added = await addKeySlot(bytes, volumeKey, own)
  await writeChange(place, added)
  const renewed = await renewDigest(added.bytes, volumeKey)
  await writeChange(place, renewed)
  const record = await wrapDek({
    dek,
    keks,
    header: { ...newRecordHeader(disk), payloadOffsetBytes: image.payloadOffsetBytes },
  })
  if (recordPlaceOf(header) === 'file') {
    await writeKeyFile(folder, disk, record)
  } else {
    for (const name of ['A', 'B'] as const) await writeLayerRecord(place, header, name, record)
  }
  // The record is on disk by now, and these are the bytes with it.
  const current = (await readLuksHeader(place)).bytes
  await writeChange(place, await removeKeySlots(current, oldSlots, own))
  await checkSlots(place, added.index)
}

/** Writes a change as its order wants it, each write synced before the next. */
async function writeChange(place: Place, { writes }: HeaderChange): Promise<void> {
  await using file = await openImageFile(place, 'write')
  await attempt(`cannot write ${place.path}`, async () => {
    for (const { offsetBytes, bytes } of writes) {
      await writeFully(file, bytes, offsetBytes)
      await file.sync()
    }
  })
}

/** Our key slot is the only one. */
async function checkSlots(place: Place, index: number): Promise<void> {
  const header = parseHeader((await readLuksHeader(place)).bytes)
  const active = header.keySlots.filter((slot) => slot.active).map((slot) => slot.index)
  if (active.length === 1 && active[0] === index) return
  throw new AgentError('verification-failed', `${place.path}: key slots ${active.join(', ')} are in use after adoption`)
}
