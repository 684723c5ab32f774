import type { Encrypt } from '@cryptvisor/host-agent-api'
import type { DiskRecordHeader } from '@cryptvisor/key-record'
import { payloadOffsetWrittenBytes } from '@cryptvisor/luks'
import type { Static } from 'typebox'
import { newLayerHeader, newVolumeKey, volumeKeyOf } from '../data-path/index.ts'
import { newRecordHeader } from '../disk/open-disk.ts'
import { keySafeName, newHomeKey } from '../home/key-safe.ts'
import { encryptPlan, sealHome } from './encrypt.ts'
import { deviceDisk, nextDisk, roomyDevice } from './in-place.ts'
import { headerDigestOf, keepHeader, keptHeader, keptHeaderName } from './kept-header.ts'
import { type InPlacePart, moveInPlace, openMove } from './move-in-place.ts'
import { NewDeks } from './new-deks.ts'
import { type Plan, refused } from './plan.ts'
import { planInPlace } from './plan-copies.ts'
import { type JournalKey, startJournal } from './start-journal.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof Encrypt>

/** What encrypting a disk on a block device changes, and VM Home with it where that is chosen. Throws AgentError `refused`. */
export function encryptInPlacePlan(operationId: string, request: Request): Plan {
  const { disk, choice } = deviceDisk(request.vm, request.disks, request.home !== null)
  if (choice.thin === true) {
    throw refused(`disks: disk ${disk.number} lies on a block device, where nothing can be thin: leave «thin» out`)
  }
  const header = keptHeaderName(disk.layerId)
  return {
    ...encryptPlan(operationId, request),
    makes: [...(request.home === null ? [] : [keySafeName]), header],
    removes: [header],
    direction: 'encrypt-in-place',
  }
}

/**
 * Encrypts a disk where it lies. The LUKS header is made first and kept beside the journal; then the data move towards the
 * device's end, from the last on; then the header goes where the first of them were, over what is left of the plain ones.
 */
export async function makeEncryptedInPlace(work: Work, request: Request): Promise<Made> {
  const { plan, folder, progress, resumed } = work
  await using stack = new AsyncDisposableStack()
  const { disk: plain, choice } = deviceDisk(plan.vm, request.disks, request.home !== null)
  const { place, version } = await roomyDevice(folder, plain, payloadOffsetWrittenBytes)
  progress.begin('making keys')
  const deks = new NewDeks(resumed, stack)
  const homeKek = request.home === null ? null : work.keys.one(request.home.key)
  const homeKey = homeKek === null ? null : await newHomeKey(plan.vm.vmId, homeKek, deks.next())
  const disk = nextDisk(plan, plain.diskId)
  const record = { header: newRecordHeader(disk), dek: deks.next(), keks: [work.keys.one(choice.key)] }
  const name = keptHeaderName(plain.layerId)
  await planInPlace(work, disk.payloadBytes, payloadOffsetWrittenBytes)
  const part = resumed?.content.parts.find(({ layerId }) => layerId === disk.layerId)
  const header = part === undefined ? await newHeader(record) : await keptHeader(folder, name, part)
  const volumeKey = stack.use(await volumeKeyOf(header, record.dek))
  const moved: InPlacePart = { disk, direction: 'encrypt', place, header, volumeKey, dek: record.dek }
  const { move, digests } = await openMove(work, moved, part, stack)
  const home = homeKey === null || homeKek === null ? null : { homeKey, homeKek }
  const journal = await startJournal(
    work,
    plan.next,
    [...(home === null ? [] : [{ dek: home.homeKey.dek, keks: [home.homeKek], header: home.homeKey.header }]), record],
    part === undefined ? [{ layerId: disk.layerId, version, header: headerDigestOf(header), digests }] : [],
  )
  if (part === undefined) await keepHeader(folder, name, header)
  if (home !== null) await sealHome(work, home.homeKey, home.homeKek)
  await moveInPlace(work, journal, move, moved)
  await work.task.insist('finishing', () => journal.write('ready'))
  return { next: plan.next, journal }
}

/** The header of a layer with a new volume key. */
async function newHeader(record: JournalKey & { readonly header: DiskRecordHeader }): Promise<Uint8Array> {
  using volumeKey = newVolumeKey()
  return await newLayerHeader({ ...record, volumeKey })
}
