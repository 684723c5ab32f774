import type { DeepRekey, EncryptionAuthority, KeyReference } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import { layerNames, luksName, newLayerEncryption } from '../disk/layer-file.ts'
import { readConfiguration, writeConfiguration } from '../home/configuration.ts'
import {
  type HomeKey,
  newHomeKey,
  nextHomeEncryption,
  nextKeySafeName,
  openKeySafe,
  writeNextKeySafe,
} from '../home/key-safe.ts'
import type { KeyLoan } from '../key-cache.ts'
import { chosenDisks } from './chosen-disks.ts'
import type { Conversion } from './conversion.ts'
import { convertLayers } from './convert-layers.ts'
import { newEncryptedLayer } from './encrypted-layer.ts'
import { openEncryptedSource } from './encrypted-source.ts'
import { newLayerId } from './layer-id.ts'
import { NewDeks } from './new-deks.ts'
import { nextVm, type Plan, refused, type Sizes, withSizes } from './plan.ts'
import type { JournalKey } from './start-journal.ts'
import { type Made, previousOf, type Work } from './work.ts'

type Request = Static<typeof DeepRekey>

/** What a deep rekey changes. Throws AgentError `refused`. */
export function deepRekeyPlan(operationId: string, { vm, home, disks }: Request): Plan {
  const chosen = chosenDisks(vm, disks, home !== null)
  for (const { disk } of chosen) {
    if (disk.encryption === null) throw refused(`disks: disk ${disk.number} is plain: encrypt it instead`)
    if (disk.device !== undefined) {
      throw refused(
        `disks: disk ${disk.number} lies on a device, which has no room for a second copy: decrypt and encrypt it`,
      )
    }
  }
  if (home !== null && vm.encryption === null) throw refused('home: VM Home is plain: encrypt it instead')
  const rekeyed = new Map(
    chosen.map(({ disk, choice: { key } }) => {
      const layerId = newLayerId(operationId, disk.diskId)
      return [disk.diskId, { ...disk, layerId, encryption: newLayerEncryption(layerId, key) }]
    }),
  )
  return {
    operationId,
    vm,
    next: nextVm(vm, {
      ...(home === null || vm.encryption === null ? {} : { encryption: nextHomeEncryption(vm.encryption, home.key) }),
      disks: vm.disks.map((disk) => rekeyed.get(disk.diskId) ?? disk),
    }),
    measured: Array.from(rekeyed.values()).flatMap(({ format, layerId }) => (format === 'qcow2' ? [layerId] : [])),
    keys: [
      ...(home === null ? [] : needs('VM Home', vm.encryption, home.key)),
      ...chosen.flatMap(({ disk, choice }) => needs(`disk ${disk.number}`, disk.encryption, choice.key)),
    ],
    rewritesHome: home !== null,
    makes: [
      ...(home === null ? [] : [nextKeySafeName]),
      ...Array.from(rekeyed.values(), ({ layerId }) => luksName(layerId)),
    ],
    removes: chosen.flatMap(({ disk }) => layerNames(disk)),
    direction: 'deep-rekey',
  }
}

/** One of the old KEKs opens a part, the new one closes it. */
function needs(part: string, old: EncryptionAuthority | null, key: KeyReference) {
  return [
    { part, anyOf: old?.keys ?? [] },
    { part, anyOf: [key] },
  ]
}

/** Makes layers with new keys beside the old ones, from one into the other in one pass, and compares them. */
export async function makeDeepRekeyed(work: Work, request: Request): Promise<Made> {
  const { plan, progress } = work
  await using stack = new AsyncDisposableStack()
  progress.begin('making keys')
  const deks = new NewDeks(work.resumed, stack)
  const { encryption } = plan.next
  const homeKek = request.home === null ? null : work.keys.one(request.home.key)
  const homeKey =
    homeKek === null || encryption === null
      ? null
      : await newHomeKey(plan.vm.vmId, homeKek, deks.next(), encryption.generation)
  const sizes = new Map<string, Sizes>()
  const parts: (Conversion & JournalKey)[] = []
  for (const { disk: old, choice } of chosenDisks(plan.vm, request.disks, homeKek !== null)) {
    const { source, watched } = await openEncryptedSource(work, old, stack)
    const layerId = newLayerId(plan.operationId, old.diskId)
    sizes.set(layerId, { payloadBytes: source.sizeBytes, virtualBytes: old.virtualBytes })
    const disk = {
      ...old,
      layerId,
      payloadBytes: source.sizeBytes,
      encryption: newLayerEncryption(layerId, choice.key),
    }
    const target = newEncryptedLayer(work, disk, [work.keys.one(choice.key)], deks.next(), stack)
    parts.push({ disk, verb: 'rekeying', source, watched, ...target })
  }
  const next = withSizes(plan, sizes)
  const home =
    homeKey === null || homeKek === null ? null : { dek: homeKey.dek, keks: [homeKek], header: homeKey.header }
  return await convertLayers(work, next, home, parts, async () => {
    if (homeKey !== null && homeKek !== null) await rekeyHome(work, homeKey, homeKek)
  })
}

/** Seals VM Home's files under another DEK; the key safe that counts stays the old one until the commit. */
async function rekeyHome(work: Work, key: HomeKey, kek: KeyLoan): Promise<void> {
  const { plan, folder, home, progress } = work
  const { vmId, encryption } = plan.vm
  if (encryption === null) throw refused('home: VM Home is plain')
  progress.begin('rekeying VM Home')
  using old = await openKeySafe(folder, vmId, encryption, work.keys.of(encryption.keys))
  const details = await readConfiguration(home, previousOf(work).home.generation, { vmId, dek: old.dek })
  await writeConfiguration(home, plan.next.generation, details, { vmId, dek: key.dek })
  await writeNextKeySafe(folder, vmId, key, kek)
}
