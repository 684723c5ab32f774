import type { DiskAuthority, Encrypt } from '@cryptvisor/host-agent-api'
import { recordKeySizeBytes } from '@cryptvisor/key-record'
import { Secret } from '@cryptvisor/secret'
import type { Static } from 'typebox'
import { createLayer, openSource, type PlainImage, type SourceFile } from '../data-path/index.ts'
import { layerName, luksName, newLayerEncryption } from '../disk/layer-file.ts'
import { newRecordHeader } from '../disk/open-disk.ts'
import { plainImageOf } from '../disk/plain-image.ts'
import { readConfiguration, writeConfiguration } from '../home/configuration.ts'
import { type HomeKey, keySafeName, newHomeEncryption, newHomeKey, writeKeySafe } from '../home/key-safe.ts'
import type { KeyLoan } from '../key-cache.ts'
import { chosenDisks } from './chosen-disks.ts'
import { compareDisk, copyDisk, planCopies } from './copy-disk.ts'
import { newLayerId } from './layer-id.ts'
import { nextVm, type Plan, refused, type Sizes, withSizes } from './plan.ts'
import { startJournal } from './start-journal.ts'
import { type Made, previousOf, type Work } from './work.ts'

type Request = Static<typeof Encrypt>

/** What encrypting changes. Throws AgentError `refused`. */
export function encryptPlan(operationId: string, { vm, home, disks }: Request): Plan {
  const chosen = chosenDisks(vm, disks, home !== null)
  for (const { disk } of chosen) {
    if (disk.encryption !== null) throw refused(`disks: disk ${disk.number} is encrypted already`)
  }
  if (home !== null && vm.encryption !== null) throw refused('home: VM Home is encrypted already')
  if (home === null && vm.encryption === null) throw refused('home: encrypt VM Home before its disks or with them')
  const encrypted = new Map(
    chosen.map(({ disk, choice: { key, policy } }) => {
      const layerId = newLayerId(operationId, disk.diskId)
      return [disk.diskId, { ...disk, layerId, policy, encryption: newLayerEncryption(layerId, key) }]
    }),
  )
  return {
    operationId,
    vm,
    next: nextVm(vm, {
      ...(home === null ? {} : { policy: home.policy, encryption: newHomeEncryption(home.key) }),
      disks: vm.disks.map((disk) => encrypted.get(disk.diskId) ?? disk),
    }),
    measured: Array.from(encrypted.values()).flatMap(({ format, layerId }) => (format === 'qcow2' ? [layerId] : [])),
    keys: [
      ...(home === null ? [] : [{ part: 'VM Home', anyOf: [home.key] }]),
      ...chosen.map(({ disk, choice }) => ({ part: `disk ${disk.number}`, anyOf: [choice.key] })),
    ],
    rewritesHome: home !== null,
    makes: [
      ...(home === null ? [] : [keySafeName]),
      ...Array.from(encrypted.values(), ({ layerId }) => luksName(layerId)),
    ],
    removes: chosen.map(({ disk }) => layerName(disk)),
    direction: 'encrypt',
  }
}

/** A disk as it will be, where its bytes come from, and the keys that it gets. */
interface Part {
  readonly disk: DiskAuthority
  readonly source: PlainImage
  /** Held open until all is made, to see that nobody writes it. */
  readonly watched: SourceFile
  readonly kek: KeyLoan
  readonly dek: Secret
}

/** Makes the encrypted layers and the sealed VM Home beside the plain ones, and compares them. */
export async function makeEncrypted(work: Work, request: Request): Promise<Made> {
  const { plan, folder, progress } = work
  await using stack = new AsyncDisposableStack()
  progress.begin('making keys')
  const homeKek = request.home === null ? null : work.keys.one(request.home.key)
  const homeKey = homeKek === null ? null : stack.use(await newHomeKey(plan.vm.vmId, homeKek))
  const sizes = new Map<string, Sizes>()
  const parts: Part[] = []
  for (const { disk: plain, choice } of chosenDisks(plan.vm, request.disks, homeKek !== null)) {
    const layerId = newLayerId(plan.operationId, plain.diskId)
    const source = await plainImageOf(folder, plain)
    sizes.set(layerId, { payloadBytes: source.sizeBytes, virtualBytes: plain.virtualBytes })
    const disk = {
      ...plain,
      layerId,
      payloadBytes: source.sizeBytes,
      encryption: newLayerEncryption(layerId, choice.key),
    }
    const watched = stack.use(await openSource(source))
    parts.push({
      disk,
      source,
      watched,
      kek: work.keys.one(choice.key),
      dek: stack.use(Secret.random(recordKeySizeBytes)),
    })
  }
  const next = withSizes(plan, sizes)
  await planCopies(
    work,
    parts.map(({ source }) => source.sizeBytes),
  )
  const journal = await startJournal(work, next, [
    ...(homeKey === null || homeKek === null ? [] : [{ dek: homeKey.dek, keks: [homeKek], header: homeKey.header }]),
    ...parts.map(({ disk, dek, kek }) => ({ dek, keks: [kek], header: newRecordHeader(disk) })),
  ])
  await journal.write('copying')
  for (const part of parts) await encryptDisk(work, part)
  if (homeKey !== null && homeKek !== null) await sealHome(work, homeKey, homeKek)
  for (const { watched } of parts) await watched.checkUnchanged()
  await journal.write('ready')
  return { next, journal }
}

async function encryptDisk(work: Work, { disk, source, kek, dek }: Part): Promise<void> {
  const path = work.folder.at(luksName(disk.layerId))
  const target = await createLayer({ path, header: newRecordHeader(disk), dek, keks: [kek] })
  using _ = target.volumeKey
  await copyDisk(work, source, target, `encrypting disk ${disk.number}`)
  await compareDisk(work, source, target, `verifying disk ${disk.number}`)
}

async function sealHome(work: Work, key: HomeKey, kek: KeyLoan): Promise<void> {
  const { plan, folder, home, progress } = work
  const { vmId } = plan.vm
  progress.begin('encrypting VM Home')
  const details = await readConfiguration(home, previousOf(work).home.generation, { vmId, dek: null })
  await writeConfiguration(home, plan.next.generation, details, { vmId, dek: key.dek })
  await writeKeySafe(folder, vmId, key, kek)
}
