import {
  type Authority,
  type CopyReport,
  chooseCopy,
  type DiskRecordHeader,
  type NamedKek,
  type RecordHeader,
  wrapDek,
} from '@cryptvisor/key-record'
import {
  createHeader,
  type Header,
  parseHeader,
  passphraseOf,
  readRecordCopies,
  recordPlaceOf,
  unlock,
  writeRecordCopy,
} from '@cryptvisor/luks'
import { Secret } from '@cryptvisor/secret'
import { DataPathError } from './data-path-error.ts'
import { type LuksImage, paddedSizeBytes } from './image.ts'
import { createLuksFile, type LuksFileHeader, readLuksHeader } from './luks-file.ts'
import type { Place } from './place.ts'
import { readKeyFile } from './record-file.ts'

const volumeKeySizeBytes = 64

/**
 * Our slots and digests have 1000. Somebody who writes the datastore could ask for so many that PBKDF2 keeps all threads of
 * the agent busy for hours.
 */
const iterationsMax = 10_000

/** What a new encrypted layer is made of. */
export interface NewLayer {
  readonly place: Place
  /** What its key record is to say. */
  readonly header: DiskRecordHeader
  /** The layer's DEK, 32 random bytes. */
  readonly dek: Secret
  /** The KEKs that the DEK is wrapped under. */
  readonly keks: readonly NamedKek[]
  /** The volume key of the layer that it is a copy of; a new one where it is left out. */
  readonly volumeKey?: Secret
}

/**
 * Creates the file of an encrypted layer: LUKS header with a volume key of its own, the key record in both copies, no
 * payload yet. It is on disk when this resolves; `transfer` into the image that is returned fills it. The caller disposes
 * of the image's volume key. Rejects as `createLuksFile` does, and with a KeyRecordError for impossible fields.
 */
export async function createLayer({ place, header, dek, keks, volumeKey: given }: NewLayer): Promise<LuksImage> {
  const { payloadOffsetBytes, payloadSizeBytes } = header
  const volumeKey = given?.clone() ?? newVolumeKey()
  try {
    await createLuksFile(place, await newLayerHeader({ header, dek, keks, volumeKey }), payloadSizeBytes)
    return { kind: 'luks', place, payloadOffsetBytes, sizeBytes: payloadSizeBytes, volumeKey }
  } catch (error) {
    volumeKey[Symbol.dispose]()
    throw error
  }
}

/** A new volume key; the caller disposes of it. */
export function newVolumeKey(): Secret {
  return Secret.random(volumeKeySizeBytes)
}

/**
 * All that goes before an encrypted layer's payload: a LUKS header with the volume key, and the key record in both copies.
 * Throws a KeyRecordError for impossible fields.
 */
export async function newLayerHeader(
  layer: Omit<NewLayer, 'place'> & { readonly volumeKey: Secret },
): Promise<Uint8Array> {
  const { header, dek, keks, volumeKey } = layer
  const record = await wrapDek({ dek, keks, header })
  using passphrase = passphraseOf(dek)
  const { luksUuid: uuid, payloadOffsetBytes } = header
  const bytes = await createHeader({ volumeKey, passphrase, uuid, payloadOffsetBytes })
  const luksHeader = parseHeader(bytes)
  writeRecordCopy(bytes, luksHeader, 'A', record)
  writeRecordCopy(bytes, luksHeader, 'B', record)
  return bytes
}

/** The volume key in a layer's header, by its DEK; the caller disposes of it. Throws a LuksError where that is not its own. */
export async function volumeKeyOf(header: Uint8Array, dek: Secret): Promise<Secret> {
  using passphrase = passphraseOf(dek)
  return await unlock(header, passphrase, iterationsMax)
}

/** An encrypted layer whose DEK and volume key are at hand. Disposing of it wipes both. */
export interface OpenLayer extends Disposable {
  readonly image: LuksImage
  readonly dek: Secret
  /** What the key record says, authenticated. */
  readonly record: DiskRecordHeader
  readonly reports: Readonly<Record<'A' | 'B', CopyReport>>
  /** Whether both copies of the record are the same. */
  readonly inStep: boolean
}

/**
 * Opens the file of an encrypted layer with one of `keks`, as far as it is what `expected` says. Rejects with a LuksError,
 * a KeyRecordError or a DataPathError: `record-mismatch` when record and LUKS header do not belong together, `truncated`
 * when the payload is cut short; not so for one that is `unfinished`, whose payload is being filled. `keyPlace`: the file
 * that has the key record of a volume whose header has no room for it.
 */
export async function openLayer(
  place: Place,
  keks: readonly NamedKek[],
  expected: Authority,
  unfinished = false,
  keyPlace: Place | null = null,
): Promise<OpenLayer> {
  const file = await readLuksHeader(place)
  const isBeside = keyPlace !== null && recordPlaceOf(file.header) === 'file'
  const copies = isBeside ? await readKeyFile(keyPlace) : readRecordCopies(file.bytes, file.header)
  const chosen = await chooseCopy(copies, keks, expected)
  const { dek, header: record, reports, inStep } = chosen
  try {
    const disk = checkBelongTogether(place.path, file.header, record)
    const { payloadOffsetBytes } = disk
    const sizeBytes = unfinished ? disk.payloadSizeBytes : sizeBytesOf(place.path, file, disk)
    using passphrase = passphraseOf(dek)
    const volumeKey = await unlock(file.bytes, passphrase, iterationsMax)
    const image: LuksImage = { kind: 'luks', place, payloadOffsetBytes, sizeBytes, volumeKey }
    return {
      image,
      dek,
      record: disk,
      reports,
      inStep,
      [Symbol.dispose]: () => {
        dek[Symbol.dispose]()
        volumeKey[Symbol.dispose]()
      },
    }
  } catch (error) {
    dek[Symbol.dispose]()
    throw error
  }
}

function checkBelongTogether(path: string, header: Header, disk: RecordHeader): DiskRecordHeader {
  if (disk.kind !== 'disk') throw new DataPathError('record-mismatch', `${path} carries a key record of another kind`)
  if (disk.luksUuid !== header.uuid || disk.payloadOffsetBytes !== header.payloadOffsetBytes) {
    throw new DataPathError(
      'record-mismatch',
      `${path}: the key record was made for LUKS volume ${disk.luksUuid} with its payload at ${disk.payloadOffsetBytes}, the header says ${header.uuid} and ${header.payloadOffsetBytes}`,
    )
  }
  return disk
}

/** A raw image has the recorded size; QEMU may have let a qcow2 grow since. */
function sizeBytesOf(path: string, file: LuksFileHeader, record: DiskRecordHeader): number {
  const payloadBytes = file.fileSizeBytes - record.payloadOffsetBytes
  const recordedBytes = paddedSizeBytes(record.payloadSizeBytes)
  if (payloadBytes < recordedBytes) {
    throw new DataPathError(
      'truncated',
      `${path} holds ${payloadBytes} bytes of payload, its key record says ${record.payloadSizeBytes}`,
    )
  }
  return record.payloadFormat === 'qcow2' && payloadBytes > recordedBytes ? payloadBytes : record.payloadSizeBytes
}
