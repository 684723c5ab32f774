import type { CloneVm, DiskAuthority, KeyReference } from '@cryptvisor/host-agent-api'
import type { NamedKek } from '@cryptvisor/key-record'
import type { Static } from 'typebox'
import { type Image, openSource, type PlainImage, paddedSizeBytes } from '../data-path/index.ts'
import { layerName, newLayerEncryption, plainName } from '../disk/layer-file.ts'
import { openDisk } from '../disk/open-disk.ts'
import { plainImageOf } from '../disk/plain-image.ts'
import { writeConfiguration } from '../home/configuration.ts'
import { keySafeName, newHomeEncryption, newHomeKey, writeKeySafe } from '../home/key-safe.ts'
import { openHome } from '../home/open-home.ts'
import { type Conversion, checkSources, convertAll, noLog } from './conversion.ts'
import { convertLayers } from './convert-layers.ts'
import { creatingName } from './create-vm.ts'
import { newEncryptedLayer } from './encrypted-layer.ts'
import { newLayerId } from './layer-id.ts'
import { NewDeks } from './new-deks.ts'
import { nextVm, type Plan, refused, type Sizes, withSizes } from './plan.ts'
import { planCopies } from './plan-copies.ts'
import { refuseUnfinished } from './refuse-unfinished.ts'
import type { JournalKey } from './start-journal.ts'
import { agreedDocument, requireVmSite, type VmSite } from './vm-site.ts'
import type { Made, Work } from './work.ts'

type Request = Static<typeof CloneVm>

/** Of aes-xts-plain64 with 256 bits, as all layers that we make. */
const volumeKeySizeBytes = 64

type DiskChoice = Request['disks'][number]

/** What cloning makes. Throws AgentError `refused`. */
export function cloneVmPlan(operationId: string, { vm, source, home, disks }: Request): Plan {
  if (vm.generation !== 0) throw refused('vm.generation: a VM that is to be made has generation 0')
  if (vm.disks.length > 0) throw refused('vm.disks: «disks» says which disks a clone has')
  if (vm.encryption !== null) throw refused('vm.encryption: «home» says how a clone is encrypted')
  if (source.generation < 1) throw refused('source.generation: a VM is cloned that was created')
  if (source.vmId === vm.vmId) throw refused('vm.vmId: a clone is another VM than its source')
  const pairs = chosenPairs(source.disks, disks)
  if (home.key === null && disks.some(({ key }) => key !== null)) {
    throw refused('home: an encrypted disk stands in an encrypted VM Home only')
  }
  const made = pairs.map(({ disk, choice }) => clonedDisk(operationId, disk, choice))
  const encrypts = home.key !== null
  return {
    operationId,
    vm,
    next: nextVm(vm, { encryption: home.key === null ? null : newHomeEncryption(home.key), disks: made }),
    measured: made.flatMap(({ format, layerId }) => (format === 'qcow2' ? [layerId] : [])),
    keys: [
      ...(source.encryption === null ? [] : [{ part: 'VM Home of the source', anyOf: source.encryption.keys }]),
      ...(home.key === null ? [] : [{ part: 'VM Home', anyOf: [home.key] }]),
      ...pairs.flatMap(({ disk, choice }) => needsOf(disk, choice.key)),
    ],
    rewritesHome: true,
    makes: [...(encrypts ? [keySafeName] : []), ...made.map(layerName)],
    removes: [creatingName],
    direction: encrypts ? 'clone' : null,
  }
}

interface Pair {
  readonly disk: DiskAuthority
  readonly choice: DiskChoice
}

/** The source's disks, each with what becomes of it. Throws AgentError `refused` for what cannot be. */
function chosenPairs(sources: readonly DiskAuthority[], choices: readonly DiskChoice[]): Pair[] {
  if (new Set(choices.map(({ sourceDiskId }) => sourceDiskId)).size < choices.length)
    throw refused('disks: one is named twice')
  if (new Set(choices.map(({ diskId }) => diskId)).size < choices.length)
    throw refused('disks: two are to have the same ID')
  return choices
    .map((choice) => {
      const disk = sources.find(({ diskId }) => diskId === choice.sourceDiskId)
      if (disk === undefined) throw refused(`disks: the source has no disk ${choice.sourceDiskId}`)
      if (choice.key === null && disk.encryption !== null) {
        throw refused(`disks: disk ${disk.number} is encrypted, and a clone does not decrypt`)
      }
      if (choice.dek === 'same' && choice.key !== null && disk.encryption === null) {
        throw refused(`disks: disk ${disk.number} is plain and has no DEK to keep`)
      }
      return { disk, choice }
    })
    .toSorted((one, other) => one.disk.number - other.disk.number)
}

function clonedDisk(operationId: string, disk: DiskAuthority, { diskId, key }: DiskChoice): DiskAuthority {
  const { device: _, ...rest } = disk
  const layerId = newLayerId(operationId, diskId)
  return { ...rest, diskId, layerId, encryption: key === null ? null : newLayerEncryption(layerId, key) }
}

function needsOf({ number, encryption }: DiskAuthority, key: KeyReference | null) {
  return [
    ...(encryption === null ? [] : [{ part: `disk ${number} of the source`, anyOf: encryption.keys }]),
    ...(key === null ? [] : [{ part: `disk ${number}`, anyOf: [key] }]),
  ]
}

/** Makes the clone's layers and VM Home out of the source's, which is locked meanwhile and stays as it is. */
export async function makeCloned(work: Work, request: Request): Promise<Made> {
  const { plan, progress, keys } = work
  await using stack = new AsyncDisposableStack()
  progress.begin('opening the source')
  const site = stack.use(await requireVmSite(work.datastores, request.source))
  const document = await agreedDocument(site.folder, request.source)
  await refuseUnfinished(site.folder)
  const details = await openHome(site.folder, request.source, document, keys.of(request.source.encryption?.keys ?? []))
  const deks = new NewDeks(work.resumed, stack)
  const homeKek = request.home.key === null ? null : keys.one(request.home.key)
  const homeKey = homeKek === null ? null : await newHomeKey(plan.vm.vmId, homeKek, deks.next())
  const sizes = new Map<string, Sizes>()
  const parts: (Conversion & Partial<JournalKey>)[] = []
  for (const pair of chosenPairs(request.source.disks, request.disks)) {
    const part = await partOf(work, site, pair, deks, stack)
    sizes.set(part.disk.layerId, part.disk)
    parts.push(part)
  }
  const next = withSizes(plan, sizes)
  const rewriteHome = async () => {
    progress.begin('writing VM Home')
    const { vmId } = plan.vm
    if (homeKey !== null && homeKek !== null) await writeKeySafe(work.folder, vmId, homeKey, homeKek)
    await writeConfiguration(work.home, plan.next.generation, details, { vmId, dek: homeKey?.dek ?? null })
  }
  const home =
    homeKey === null || homeKek === null ? null : { dek: homeKey.dek, keks: [homeKek], header: homeKey.header }
  if (plan.direction !== null) return await convertLayers(work, next, home, parts, rewriteHome)
  await planCopies(
    work,
    parts.map(({ source }) => source.sizeBytes),
  )
  await convertAll(work, noLog, parts)
  await rewriteHome()
  await checkSources(parts)
  return { next, journal: null }
}

/** One disk's way into the clone. */
async function partOf(
  work: Work,
  { folder }: VmSite,
  { disk: old, choice }: Pair,
  deks: NewDeks,
  stack: AsyncDisposableStack,
): Promise<Conversion & Partial<JournalKey>> {
  const layer =
    old.encryption === null ? null : stack.use(await openDisk(folder, old, work.keys.of(old.encryption.keys)))
  const whole: Image = layer?.image ?? (await plainImageOf(folder, old))
  const disk = { ...clonedDisk(work.plan.operationId, old, choice), payloadBytes: whole.sizeBytes }
  const verb = 'cloning'
  if (choice.key === null) {
    const place = work.folder.place(plainName(disk.layerId, disk.format))
    const open = async (): Promise<PlainImage> => ({ kind: 'plain', place, sizeBytes: whole.sizeBytes })
    return { disk, verb, source: whole, watched: stack.use(await openSource(whole)), create: open, reopen: open }
  }
  const keks: NamedKek[] = [work.keys.one(choice.key)]
  if (choice.dek === 'new' || layer === null) {
    const target = newEncryptedLayer(work, disk, keks, deks.next(), stack)
    return { disk, verb, source: whole, watched: stack.use(await openSource(whole)), ...target }
  }
  if (layer.image.volumeKey.sizeBytes !== volumeKeySizeBytes) {
    throw refused(
      `disks: disk ${old.number} was adopted with a volume key of AES-128, which a new layer does not take: clone it with a new DEK`,
    )
  }
  // The DEK in the journal is the source's own; the layer takes its volume key too, and so the ciphertext as it lies.
  deks.skip()
  const { dek, image } = layer
  const source: PlainImage = ciphertextOf(image)
  const target = newEncryptedLayer(work, disk, keks, dek, stack, image.volumeKey)
  return {
    disk,
    verb,
    source,
    watched: stack.use(await openSource(source)),
    ...target,
    create: async () => ciphertextOf(await target.create()),
    reopen: async () => ciphertextOf(await target.reopen()),
  }
}

/** The payload of a layer as it lies, in whole data units. */
function ciphertextOf(image: Image): PlainImage {
  if (image.kind === 'plain') return image
  const { place, payloadOffsetBytes: offsetBytes, sizeBytes } = image
  return { kind: 'plain', place, offsetBytes, sizeBytes: paddedSizeBytes(sizeBytes) }
}
