import type { Encrypt } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { attempt, openSource } from '../data-path/index.ts'
import { layerName, luksName, newLayerEncryption } from '../disk/layer-file.ts'
import { plainImageOf } from '../disk/plain-image.ts'
import { readConfiguration, writeConfiguration } from '../home/configuration.ts'
import { type HomeKey, keySafeName, newHomeEncryption, newHomeKey, writeKeySafe } from '../home/key-safe.ts'
import type { KeyLoan } from '../key-cache.ts'
import { chosenDisks } from './chosen-disks.ts'
import type { Conversion } from './conversion.ts'
import { convertLayers } from './convert-layers.ts'
import { newEncryptedLayer } from './encrypted-layer.ts'
import { newLayerId } from './layer-id.ts'
import { NewDeks } from './new-deks.ts'
import { nextVm, type Plan, refused, type Sizes, withSizes } from './plan.ts'
import type { JournalKey } from './start-journal.ts'
import { becomesThin, thinSourceOf } from './thin-disk.ts'
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
    chosen.map(({ disk, choice: { key, policy, thin } }) => {
      const layerId = newLayerId(operationId, disk.diskId)
      const format = becomesThin(disk, thin) ? 'qcow2' : disk.format
      return [disk.diskId, { ...disk, layerId, format, policy, encryption: newLayerEncryption(layerId, key) }]
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

/** Makes the encrypted layers and the sealed VM Home beside the plain ones, and compares them. */
export async function makeEncrypted(work: Work, request: Request): Promise<Made> {
  const { plan, folder, progress } = work
  await using stack = new AsyncDisposableStack()
  progress.begin('making keys')
  const deks = new NewDeks(work.resumed, stack)
  const homeKek = request.home === null ? null : work.keys.one(request.home.key)
  const homeKey = homeKek === null ? null : await newHomeKey(plan.vm.vmId, homeKek, deks.next())
  const sizes = new Map<string, Sizes>()
  const parts: (Conversion & JournalKey)[] = []
  for (const { disk: plain, choice } of chosenDisks(plan.vm, request.disks, homeKek !== null)) {
    const layerId = newLayerId(plan.operationId, plain.diskId)
    const image = await plainImageOf(folder, plain)
    const watched = stack.use(await openSource(image))
    const thin = becomesThin(plain, choice.thin)
    const source = thin ? await thinSourceOf(work, image, plain.number) : image
    sizes.set(layerId, { payloadBytes: source.sizeBytes, virtualBytes: plain.virtualBytes })
    const disk = {
      ...plain,
      layerId,
      format: thin ? 'qcow2' : plain.format,
      payloadBytes: source.sizeBytes,
      encryption: newLayerEncryption(layerId, choice.key),
    }
    const target = newEncryptedLayer(work, disk, [work.keys.one(choice.key)], deks.next(), stack)
    parts.push({ disk, verb: 'encrypting', source, watched, ...target })
  }
  const next = withSizes(plan, sizes)
  await refuseOtherNames(parts)
  const home =
    homeKey === null || homeKek === null ? null : { dek: homeKey.dek, keks: [homeKek], header: homeKey.header }
  return await convertLayers(work, next, home, parts, async () => {
    if (homeKey !== null && homeKek !== null) await sealHome(work, homeKey, homeKek)
    await refuseOtherNames(parts)
  })
}

/** The plain bytes of a layer would stay under another name when its own is removed. Throws AgentError `refused`. */
async function refuseOtherNames(parts: readonly Conversion[]): Promise<void> {
  for (const { disk, watched } of parts) {
    const { path } = watched.image.place
    const { linkCount } = await attempt(`cannot look at ${path}`, () => watched.file.stat())
    if (linkCount <= 1) continue
    throw refused(
      `disk ${disk.number}: ${path} has ${linkCount} names (hard links), and would stay plain under the others: remove those, or copy the file`,
    )
  }
}

/** Writes the sealed VM Home beside the plain one, and its key safe. Does no harm when done again. */
export async function sealHome(work: Work, key: HomeKey, kek: KeyLoan): Promise<void> {
  const { plan, folder, home, progress } = work
  const { vmId } = plan.vm
  progress.begin('encrypting VM Home')
  const details = await readConfiguration(home, previousOf(work).home.generation, { vmId, dek: null })
  await writeConfiguration(home, plan.next.generation, details, { vmId, dek: key.dek })
  await writeKeySafe(folder, vmId, key, kek)
}
