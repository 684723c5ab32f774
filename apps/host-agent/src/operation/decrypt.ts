import type { Decrypt } from '@cryptvisor/host-agent-api'
import type { Static } from 'typebox'
import type { Image } from '../data-path/index.ts'
import { layerName, layerNames } from '../disk/layer-file.ts'
import { readConfiguration, writeConfiguration } from '../home/configuration.ts'
import { type HomeKey, keySafeName, openKeySafe } from '../home/key-safe.ts'
import { chosenDisks } from './chosen-disks.ts'
import type { Conversion } from './conversion.ts'
import { convertLayers } from './convert-layers.ts'
import { openEncryptedSource } from './encrypted-source.ts'
import { newLayerId } from './layer-id.ts'
import { nextVm, type Plan, refused, type Sizes, withSizes } from './plan.ts'
import type { JournalKey } from './start-journal.ts'
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
    removes: [...chosen.flatMap(({ disk }) => layerNames(disk)), ...(home === null ? [] : [keySafeName])],
    direction: 'decrypt',
  }
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
  const parts: (Conversion & JournalKey)[] = []
  const sizes = new Map<string, Sizes>()
  for (const { disk: encrypted } of chosenDisks(plan.vm, request.disks, homeKey !== null)) {
    const source = await openEncryptedSource(work, encrypted, stack)
    const { sizeBytes } = source.source
    const layerId = newLayerId(plan.operationId, encrypted.diskId)
    sizes.set(layerId, { payloadBytes: sizeBytes, virtualBytes: encrypted.virtualBytes })
    const disk = { ...encrypted, layerId, payloadBytes: sizeBytes, encryption: null }
    const target: Image = { kind: 'plain', place: folder.place(layerName(disk)), sizeBytes }
    const open = () => Promise.resolve(target)
    parts.push({ disk, verb: 'decrypting', ...source, create: open, reopen: open })
  }
  const next = withSizes(plan, sizes)
  const home = homeKey === null || homeKeks === null ? null : { ...homeKey, keks: homeKeks }
  return await convertLayers(work, next, home, parts, async () => {
    if (homeKey !== null) await unsealHome(work, homeKey)
  })
}

/** Writes the plain VM Home beside the sealed one. Does no harm when done again. */
export async function unsealHome(work: Work, { dek }: HomeKey): Promise<void> {
  const { plan, home, progress } = work
  const { vmId } = plan.vm
  progress.begin('decrypting VM Home')
  const details = await readConfiguration(home, previousOf(work).home.generation, { vmId, dek })
  await writeConfiguration(home, plan.next.generation, details, { vmId, dek: null })
}
