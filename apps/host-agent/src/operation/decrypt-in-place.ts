import type { Decrypt, DiskAuthority } from '@cryptvisor/host-agent-api'
import type { Secret } from '@cryptvisor/secret'
import type { Static } from 'typebox'
import { AgentError } from '../agent-error.ts'
import { openSource, type SourceVersion, volumeKeyOf } from '../data-path/index.ts'
import { readLuksHeader } from '../data-path/luks-file.ts'
import { openDisk } from '../disk/open-disk.ts'
import { keySafeName, openKeySafe } from '../home/key-safe.ts'
import { decryptPlan, unsealHome } from './decrypt.ts'
import { deviceDisk, nextDisk } from './in-place.ts'
import type { JournalPart } from './journal.ts'
import { headerDigestOf, keepHeader, keptHeader, keptHeaderName } from './kept-header.ts'
import { type InPlacePart, moveInPlace, openMove } from './move-in-place.ts'
import type { Plan } from './plan.ts'
import { planInPlace } from './plan-copies.ts'
import { type JournalKey, startJournal } from './start-journal.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof Decrypt>

/** What decrypting a disk on a block device changes, and VM Home with it where that is chosen. Throws AgentError `refused`. */
export function decryptInPlacePlan(operationId: string, request: Request): Plan {
  const { disk } = deviceDisk(request.vm, request.disks, request.home !== null)
  const header = keptHeaderName(disk.layerId)
  return {
    ...decryptPlan(operationId, request),
    makes: [header],
    removes: [header, ...(request.home === null ? [] : [keySafeName])],
    direction: 'decrypt-in-place',
  }
}

/**
 * Decrypts a disk where it lies: the LUKS header is kept beside the journal first, since the data, which move towards the
 * device's beginning from the first on, overwrite it.
 */
export async function makeDecryptedInPlace(work: Work, request: Request): Promise<Made> {
  const { plan, folder, progress, resumed } = work
  const { vmId, encryption } = plan.vm
  await using stack = new AsyncDisposableStack()
  const { disk: encrypted } = deviceDisk(plan.vm, request.disks, request.home !== null)
  const place = await folder.device(encrypted.device)
  progress.begin('opening key records')
  const homeKeks = request.home === null || encryption === null ? null : work.keys.of(encryption.keys)
  const homeKey =
    homeKeks === null || encryption === null ? null : stack.use(await openKeySafe(folder, vmId, encryption, homeKeks))
  const disk = nextDisk(plan, encrypted.diskId)
  const name = keptHeaderName(encrypted.layerId)
  const part = resumed?.content.parts.find(({ layerId }) => layerId === disk.layerId)
  const first = part === undefined ? await openFirst(work, encrypted, stack) : null
  const { dek, header } = first ?? (await openKept(work, name, part))
  await planInPlace(work, disk.payloadBytes, header.length)
  const volumeKey = stack.use(await volumeKeyOf(header, dek))
  const moved: InPlacePart = { disk, direction: 'decrypt', place, header, volumeKey, dek }
  const { move, digests } = await openMove(work, moved, part, stack)
  const homeKeyed = homeKey === null || homeKeks === null ? [] : [{ ...homeKey, keks: homeKeks }]
  const journal = await startJournal(
    work,
    plan.next,
    first === null ? [] : [...homeKeyed, first.key],
    first === null ? [] : [{ layerId: disk.layerId, version: first.version, header: headerDigestOf(header), digests }],
  )
  if (first !== null) await keepHeader(folder, name, header)
  if (homeKey !== null) await unsealHome(work, homeKey)
  await moveInPlace(work, journal, move, moved)
  await work.task.insist('finishing', () => journal.write('ready'))
  return { next: plan.next, journal }
}

/** What opens the disk. */
interface Opened {
  readonly dek: Secret
  readonly header: Uint8Array
}

/** The same before anything was moved: the disk opens, and its header is whole. */
interface FirstOpened extends Opened {
  readonly key: JournalKey
  readonly version: SourceVersion
}

async function openFirst(
  { folder, keys }: Work,
  disk: DiskAuthority,
  stack: AsyncDisposableStack,
): Promise<FirstOpened> {
  const keks = keys.of(disk.encryption?.keys ?? [])
  const { dek, record, image } = stack.use(await openDisk(folder, disk, keks))
  await using source = await openSource(image)
  const { bytes } = await readLuksHeader(image.place)
  return { dek, header: bytes, key: { dek, keks, header: record }, version: source.version }
}

/** As the journal has it: the disk's DEK is the last one, behind VM Home's. */
async function openKept({ folder, resumed }: Work, name: string, part: JournalPart | undefined): Promise<Opened> {
  const dek = resumed?.deks.at(-1)
  if (dek === undefined || part === undefined) throw new AgentError('internal', 'the journal lacks its disk')
  return { dek, header: await keptHeader(folder, name, part) }
}
