import { createHash } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { EncryptionAuthority, KeyReference, VmAuthority } from '@cryptvisor/host-agent-api'

/** A part of a VM as it lies on a datastore: what it was wrapped with is known by the KEK's fingerprint. */
interface StoredVm {
  authority: VmAuthority
  /** By layer ID; VM Home by the empty text. */
  readonly wrappedWith: Map<string, string>
  /** The operation that is on its way, and how far. */
  journal: { readonly operationId: string; committed: boolean; readonly next: VmAuthority } | null
}

/** What lies on the datastores of a lab; outlives agents. */
export class SimulatedDatastore {
  readonly vms = new Map<string, StoredVm>()
  /** IDs of the detached layers that were removed. */
  readonly removedLayers = new Set<string>()
  /** Who holds the `vm.lock` of a folder, to run its VM. */
  readonly runners = new Map<string, string>()
  #layerCount = 0

  /** Becomes as `other` is. */
  copy(other: SimulatedDatastore): void {
    for (const [folder, vm] of other.vms) this.vms.set(folder, structuredClone(vm))
    for (const [folder, host] of other.runners) this.runners.set(folder, host)
    this.#layerCount = other.#layerCount
  }

  newLayerId(): string {
    this.#layerCount++
    return `layer-${this.#layerCount}`
  }
}

export const fingerprint = (kek: Uint8Array): string => createHash('sha256').update(kek).digest('hex')

/** The encryption of a part that is wrapped with `key` from now on. */
export function wrapped(key: KeyReference, luksUuid: string | null): EncryptionAuthority {
  return { keys: [key], generation: 1, luksUuid }
}

/** Whether `vm.json` agrees with what the control plane knows; names and policies are the control plane's alone. */
export function agrees(stored: VmAuthority, vm: VmAuthority): boolean {
  const bare = ({ disks, ...rest }: VmAuthority) => ({
    ...rest,
    name: '',
    policy: '',
    disks: disks.map((disk) => ({ ...disk, policy: '' })),
  })
  return isDeepStrictEqual(bare(stored), bare(vm))
}
