import type { Decrypt, DiskAuthority } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { type OpenLayer, openSource, type PlainImage, type SourceFile } from '../data-path/index.ts'
import { layerName, plainName } from '../disk/layer-file.ts'
import { openDisk } from '../disk/open-disk.ts'
import { readConfiguration, writeConfiguration } from '../home/configuration.ts'
import { type HomeKey, keySafeName, openKeySafe } from '../home/key-safe.ts'
import type { KeyLoan } from '../key-cache.ts'
import { chosenDisks } from './chosen-disks.ts'
import { compareDisk, copyDisk, planCopies } from './copy-disk.ts'
import { newLayerId } from './layer-id.ts'
import { nextVm, type Plan, refused, type Sizes, withSizes } from './plan.ts'
import { startJournal } from './start-journal.ts'
import { type Made, previousOf, type Work } from './work.ts'

type Request = Static<typeof Decrypt>

/** What decrypting changes. Throws AgentError `refused`. */
export function decryptPlan(operationId: string, { vm, home, disks }: Request): Plan {
  const chosen = chosenDisks(vm, disks, home !== null)
  for (const { disk } of chosen) {
    if (disk.encryption === null) throw refused(`disks: disk ${disk.number} is plain already`)
  }
  if (home !== null && vm.encryption === null) throw refused('home: VM Home is plain already')
  const plain = new Map(
    chosen.map(({ disk, choice: { policy } }) => {
      const layerId = newLayerId(operationId, disk.diskId)
      return [disk.diskId, { ...disk, layerId, policy, encryption: null }]
    }),
  )
  const staying = vm.disks.filter(({ diskId, encryption }) => encryption !== null && !plain.has(diskId))
  if (home !== null && staying.length > 0) {
    const numbers = staying.map(({ number }) => number).join(', ')
    throw refused(`home: VM Home cannot be decrypted while a disk is encrypted; decrypt disk ${numbers} first`)
  }
  return {
    operationId,
    vm,
    next: nextVm(vm, {
      ...(home === null ? {} : { policy: home.policy, encryption: null }),
      disks: vm.disks.map((disk) => plain.get(disk.diskId) ?? disk),
    }),
    measured: Array.from(plain.values()).flatMap(({ format, layerId }) => (format === 'qcow2' ? [layerId] : [])),
    keys: [
      ...(home === null ? [] : [{ part: 'VM Home', anyOf: vm.encryption?.keys ?? [] }]),
      ...chosen.map(({ disk }) => ({ part: `disk ${disk.number}`, anyOf: disk.encryption?.keys ?? [] })),
    ],
    rewritesHome: home !== null,
    makes: Array.from(plain.values(), layerName),
    removes: [...chosen.map(({ disk }) => layerName(disk)), ...(home === null ? [] : [keySafeName])],
    direction: 'decrypt',
  }
}

interface Part {
  readonly disk: DiskAuthority
  readonly layer: OpenLayer
  /** Held open until all is made, to see that nobody writes it. */
  readonly watched: SourceFile
  readonly keks: readonly KeyLoan[]
  readonly target: PlainImage
}

/** Makes the plain layers and the plain VM Home beside the encrypted ones, and compares them. */
export async function makeDecrypted(work: Work, request: Request): Promise<Made> {
  const { plan, progress, folder } = work
  const { vmId, encryption } = plan.vm
  await using stack = new AsyncDisposableStack()
  progress.begin('opening key records')
  const homeKeks = request.home === null || encryption === null ? null : work.keys.of(encryption.keys)
  const homeKey =
    homeKeks === null || encryption === null ? null : stack.use(await openKeySafe(folder, vmId, encryption, homeKeks))
  const parts: Part[] = []
  const sizes = new Map<string, Sizes>()
  for (const { disk } of chosenDisks(plan.vm, request.disks, homeKey !== null)) {
    const keks = work.keys.of(disk.encryption?.keys ?? [])
    const layer = stack.use(await openDisk(folder, disk, keks))
    if (!layer.inStep) work.warn(`disk ${disk.number}: the two copies of its key record are not the same`)
    const { sizeBytes } = layer.image
    const layerId = newLayerId(plan.operationId, disk.diskId)
    sizes.set(layerId, { payloadBytes: sizeBytes, virtualBytes: disk.virtualBytes })
    parts.push({
      disk,
      layer,
      watched: stack.use(await openSource(layer.image)),
      keks,
      target: { kind: 'plain', path: folder.at(plainName(layerId, disk.format)), sizeBytes },
    })
  }
  const next = withSizes(plan, sizes)
  await planCopies(
    work,
    parts.map(({ target }) => target.sizeBytes),
  )
  const journal = await startJournal(work, next, [
    ...(homeKey === null || homeKeks === null ? [] : [{ ...homeKey, keks: homeKeks }]),
    ...parts.map(({ layer, keks }) => ({ dek: layer.dek, header: layer.record, keks })),
  ])
  await journal.write('copying')
  for (const { disk, layer, target } of parts) {
    await copyDisk(work, layer.image, target, `decrypting disk ${disk.number}`)
    await compareDisk(work, layer.image, target, `verifying disk ${disk.number}`)
  }
  if (homeKey !== null) await unsealHome(work, homeKey)
  for (const { watched } of parts) await watched.checkUnchanged()
  await journal.write('ready')
  return { next, journal }
}

async function unsealHome(work: Work, { dek }: HomeKey): Promise<void> {
  const { plan, home, progress } = work
  const { vmId } = plan.vm
  progress.begin('decrypting VM Home')
  const details = await readConfiguration(home, previousOf(work).home.generation, { vmId, dek })
  await writeConfiguration(home, plan.next.generation, details, { vmId, dek: null })
}
