import type { DiskAuthority, RestoreHeader } from '@cryptvisor/host-agent-api'
import { chooseCopy, inspectRecord, KeyRecordError, type NamedKek, type RecordHeader } from '@cryptvisor/key-record'
import {
  type Header,
  LuksError,
  parseHeader,
  type RecordCopy,
  readRecordCopies,
  restoreHeader,
  writeRecordCopy,
} from '@cryptvisor/luks'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { openImageFile } from '../data-path/image-file.ts'
import { attempt, type Place, paddedSizeBytes, volumeKeyOf } from '../data-path/index.ts'
import { rewriteLuksHeader } from '../data-path/luks-file.ts'
import { layerPlace } from '../disk/layer-place.ts'
import { openDisk, recordAuthorityOf } from '../disk/open-disk.ts'
import { encryptedDisk, requireRecordInHeader } from './backup-header.ts'
import { agentErrorOf } from './operation-error.ts'
import { nextVm, type Plan, refused } from './plan.ts'
import { receiveBytes } from './receive-bytes.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof RestoreHeader>

/** What restoring a header changes: nothing but the VM's generation, which tells after a crash that it was done. Throws AgentError `refused`. */
export function restoreHeaderPlan(operationId: string, { vm, diskId }: Request): Plan {
  const { number, encryption } = encryptedDisk(vm.disks, diskId)
  return {
    operationId,
    vm,
    next: nextVm(vm, {}),
    measured: [],
    keys: [{ part: `disk ${number}`, anyOf: encryption?.keys ?? [] }],
    rewritesHome: false,
    makes: [],
    removes: [],
    direction: null,
  }
}

/**
 * Writes the header that comes over the one of the disk, once all of it was checked in memory, and opens the disk with it. Where
 * that breaks off the VM is locked, with a reason, until it is done again: nothing of the data is touched.
 */
export async function makeRestoredHeader(
  work: Work,
  { diskId, contentBytes }: Request,
  content: AsyncIterable<Uint8Array>,
): Promise<Made> {
  const { plan, folder, progress, signal, bulk } = work
  const disk = encryptedDisk(plan.vm.disks, diskId)
  const keks = work.keys.of(disk.encryption?.keys ?? [])
  progress.begin(`receiving the header of disk ${disk.number}`)
  progress.totalBytes = contentBytes
  using _turn = await bulk.enter(signal)
  const backup = await receiveBytes(contentBytes, content, work)
  progress.begin(`checking the header of disk ${disk.number}`)
  const place = await layerPlace(folder, disk)
  const header = await checkedHeader(backup, disk, keks, place)
  signal.throwIfAborted()
  progress.begin(`writing the header of disk ${disk.number}`)
  try {
    await rewriteLuksHeader(place, header)
    const layer = await openDisk(folder, disk, keks)
    layer[Symbol.dispose]()
  } catch (error) {
    const { code, message } = agentErrorOf(error)
    throw new AgentError(code, `${message}; the header may be there in part: restore it again`, { cause: error })
  }
  return { next: plan.next, journal: null }
}

/** The header in a backup, with the key record that counts in both its copies, if it is one to restore to this disk. Throws AgentError. */
async function checkedHeader(
  backup: Uint8Array,
  disk: DiskAuthority,
  keks: readonly NamedKek[],
  place: Place,
): Promise<Uint8Array> {
  try {
    const content = restoreHeader(backup, { uuid: disk.encryption?.luksUuid ?? '', payloadOffsetBytes: null })
    const header = parseHeader(content)
    requireRecordInHeader(disk, header)
    const copies = readRecordCopies(content, header)
    refuseOlder(disk, Object.values(copies))
    const { dek, record, header: said } = await chooseCopy(copies, keks, recordAuthorityOf(disk))
    using _dek = dek
    const volumeKey = await volumeKeyOf(content, dek)
    volumeKey[Symbol.dispose]()
    await checkFits(disk, header, said, place)
    for (const name of ['A', 'B'] as const) writeRecordCopy(content, header, name, record)
    return content
  } catch (error) {
    if (!(error instanceof LuksError || error instanceof KeyRecordError)) throw error
    const text = `the backup is not one to restore to disk ${disk.number}, which is as it was: ${error.message}`
    throw new AgentError(error instanceof LuksError ? 'bad-image' : agentErrorOf(error).code, text, { cause: error })
  }
}

/** Says what is the matter with a backup from before a rekey, which else would only name keys that nobody knows. */
function refuseOlder({ number, encryption }: DiskAuthority, copies: readonly RecordCopy[]): void {
  const generations = copies.flatMap((copy) => generationOf(copy) ?? [])
  const known = encryption?.generation ?? 0
  if (generations.length === 0 || generations.some((generation) => generation >= known)) return
  throw refused(
    `the backup was made before the key of disk ${number} was replaced: its key record has generation ${Math.max(...generations)}, the disk is at ${known}. It would bring the old key back; take a backup that was made since`,
  )
}

function generationOf(copy: RecordCopy): number | null {
  if (copy.state !== 'text') return null
  try {
    return inspectRecord(copy.text).header.generation
  } catch (error) {
    if (error instanceof KeyRecordError) return null
    throw error
  }
}

/** Header, key record and the file or device at `place` belong together. Throws AgentError `bad-image`, `datastore-mismatch`. */
async function checkFits(disk: DiskAuthority, header: Header, said: RecordHeader, place: Place): Promise<void> {
  const { number, format, payloadBytes } = disk
  if (said.kind !== 'disk' || said.luksUuid !== header.uuid || said.payloadOffsetBytes !== header.payloadOffsetBytes) {
    throw new AgentError('bad-image', `the backup’s key record was made for another header than the one that it is in`)
  }
  if (said.payloadFormat !== format || (format === 'raw' && said.payloadSizeBytes !== payloadBytes)) {
    throw new AgentError(
      'bad-image',
      `the backup is of a ${said.payloadFormat} of ${said.payloadSizeBytes} bytes, disk ${number} is a ${format} of ${payloadBytes}`,
    )
  }
  await using file = await openImageFile(place, 'read')
  const { sizeBytes } = await attempt(`cannot look at ${place.path}`, () => file.stat())
  const neededBytes = header.payloadOffsetBytes + paddedSizeBytes(said.payloadSizeBytes)
  if (sizeBytes >= neededBytes) return
  throw new AgentError(
    'datastore-mismatch',
    `${place.path} has ${sizeBytes} bytes, disk ${number} takes ${neededBytes}: a header alone does not bring it back`,
  )
}
