import { isDeepStrictEqual } from 'node:util'
import type { DiskAuthority, KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'
import { AgentError } from '../agent-error.ts'
import type { JournalDirection } from './journal.ts'

/**
 * What an operation changes, known before anything is touched: it follows from the operation's ID and its request alone,
 * which come from the control plane. So after a crash nothing that lies on the datastore has to be believed to undo it.
 */
export interface Plan {
  readonly operationId: string
  /** The VM as the control plane knows it. */
  readonly vm: VmAuthority
  /** The VM as it will be; the sizes of `measured` layers are those of their finished files instead. */
  readonly next: VmAuthority
  /** Layers whose exact sizes only their finished files tell: a qcow2 grows as it is written. */
  readonly measured: readonly string[]
  /** The KEKs that it needs: of each part, at least one of those that open it. */
  readonly keys: readonly KeyNeed[]
  /** Those that it needs after its commit, where they are fewer: without the others it is still brought to its end. */
  readonly keysToFinish?: readonly KeyNeed[]
  /** Whether it writes VM Home's configuration anew. */
  readonly rewritesHome: boolean
  /** Names in the VM's folder that it makes before the commit; undoing it removes them. */
  readonly makes: readonly string[]
  /** Names in the VM's folder that it removes after the commit. */
  readonly removes: readonly string[]
  /** A layer that moves here out of another folder of the datastore: its first name goes after the commit. */
  readonly takes?: { readonly folder: string; readonly names: readonly string[] }
  /** Those that remove what was there before keep a journal; `null` for those that only add. */
  readonly direction: JournalDirection | null
}

/** The KEKs of which one has to be held for a part of the VM. */
export interface KeyNeed {
  /** Such as «disk 0». */
  readonly part: string
  readonly anyOf: readonly KeyReference[]
}

/** What of a layer its finished file told. */
export type Sizes = Pick<DiskAuthority, 'payloadBytes' | 'virtualBytes'> & {
  /** Of a volume that was adopted: somebody else chose it. */
  readonly luksUuid?: string
}

/** Refuses what the request itself shows to be impossible. */
export function refused(text: string): AgentError {
  return new AgentError('refused', text)
}

/** `vm` one generation on, with what changes. */
export function nextVm(vm: VmAuthority, change: Partial<VmAuthority>): VmAuthority {
  return { ...vm, ...change, generation: vm.generation + 1 }
}

/** The VM as it will be, with the sizes of its measured layers filled in. */
export function withSizes({ next, measured }: Plan, sizes: ReadonlyMap<string, Sizes>): VmAuthority {
  const disks = next.disks.map((disk) => {
    const found = measured.includes(disk.layerId) ? sizes.get(disk.layerId) : undefined
    return found === undefined ? disk : withSizesOf(disk, found)
  })
  return { ...next, disks }
}

function withSizesOf(disk: DiskAuthority, { payloadBytes, virtualBytes, luksUuid }: Sizes): DiskAuthority {
  const { encryption } = disk
  const adopted = encryption === null || luksUuid === undefined ? encryption : { ...encryption, luksUuid }
  return { ...disk, payloadBytes, virtualBytes, encryption: adopted }
}

/** A disk whose layer an operation changes or adds; `before` is `null` for one that it adds. */
export interface ChangedDisk {
  readonly before: DiskAuthority | null
  readonly after: DiskAuthority
}

/** The disks that get new layers on the way from `vm` to `next`, by number. */
export function changedDisks(vm: VmAuthority, next: VmAuthority): ChangedDisk[] {
  return next.disks
    .filter(({ layerId }) => vm.disks.every((disk) => disk.layerId !== layerId))
    .map((after) => ({ before: vm.disks.find(({ diskId }) => diskId === after.diskId) ?? null, after }))
    .toSorted((one, other) => one.after.number - other.after.number)
}

/** A disk that keeps its layer and gets another key record. */
export interface RekeyedDisk {
  readonly before: DiskAuthority
  readonly after: DiskAuthority
}

/** The disks that keep their layers on the way from `vm` to `next` and get other key records, by number. */
export function rekeyedDisks(vm: VmAuthority, next: VmAuthority): RekeyedDisk[] {
  return next.disks
    .flatMap((after) => {
      const before = vm.disks.find(({ layerId }) => layerId === after.layerId)
      return before === undefined || isDeepStrictEqual(before.encryption, after.encryption) ? [] : [{ before, after }]
    })
    .toSorted((one, other) => one.after.number - other.after.number)
}

/** Whether VM Home stays encrypted on the way from `vm` to `next`, and gets another key record. */
export function rekeysHome(vm: VmAuthority, next: VmAuthority): boolean {
  return vm.encryption !== null && next.encryption !== null && !isDeepStrictEqual(vm.encryption, next.encryption)
}

/** The generation that names VM Home's configuration once `plan` is committed; `previous` named it before. */
export function homeGenerationAfter({ rewritesHome, next }: Plan, previous: number | null): number {
  return rewritesHome || previous === null ? next.generation : previous
}

/** Makes sure that a disk can be added. Throws AgentError `refused`. */
export function checkNewDisk(vm: VmAuthority, { diskId, number }: Pick<DiskAuthority, 'diskId' | 'number'>): void {
  if (vm.generation < 1) throw refused('vm.generation: a disk is added to a VM that was created')
  if (vm.disks.length >= disksMax) throw refused(`disks: a VM has at most ${disksMax}`)
  if (vm.disks.some((disk) => disk.diskId === diskId)) throw refused(`diskId: the VM has disk ${diskId} already`)
  if (vm.disks.some((disk) => disk.number === number)) throw refused(`number: the VM has a disk ${number} already`)
}

/** As many as the API's schema lets a VM have. */
const disksMax = 64

/** An encrypted disk stands in an encrypted VM Home only. Throws AgentError `refused`. */
export function checkHomeBefore(key: KeyReference | null, homeIsEncrypted: boolean): void {
  if (key !== null && !homeIsEncrypted) {
    throw refused('VM Home is plain: encrypt it before its disks or together with them')
  }
}
